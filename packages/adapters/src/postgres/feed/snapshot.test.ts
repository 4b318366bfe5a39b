/**
 * Goal: a position says which transactions were told, and no other. Method: a table of pairs, and a law: of two snapshots one
 * sees all of the other if and only if each transaction that the other sees is seen by it.
 */
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Position } from '@keyferry/core';
import { hasReachedPlace, placeOf, positionAt, seesAllOf, snapshotFromText, type Snapshot } from './snapshot.ts';

const snapshot = (text: string): Snapshot => {
  const read = snapshotFromText(text);
  if (read === null) throw new RangeError(text);
  return read;
};
const sees = ({ end, open }: Snapshot, xid: bigint): boolean => xid < end && !open.has(xid);

describe('seesAllOf', () => {
  it.each([
    ['itself', '5:9:5,7', '5:9:5,7', true],
    ['one from before', '9:9:', '5:9:5,7', true],
    ['one whose open transaction ended', '5:9:5', '5:9:5,7', true],
    ['not one of which it saw less', '5:9:5,7', '5:9:5', false],
    ['not a later one', '5:9:5', '5:10:5', false],
    ['one from before what it has open', '8:9:8', '5:8:5', true],
  ])('%s', (_name, own, other, want) => expect(seesAllOf(snapshot(own), snapshot(other))).toBe(want));

  const any = fc
    .tuple(fc.bigInt(3n, 12n), fc.uniqueArray(fc.bigInt(3n, 11n)))
    .map(([end, open]) => snapshot(`3:${end}:${open.filter((xid) => xid < end).join(',')}`));
  it('law: it means what it says of each transaction', () =>
    fc.assert(
      fc.property(any, any, (own, other) => {
        const xids = Array.from({ length: 12 }, (_, i) => BigInt(i));
        return seesAllOf(own, other) === xids.every((xid) => !sees(other, xid) || sees(own, xid));
      }),
    ));
});

describe('positions of an outbox', () => {
  const at = (text: string) => placeOf(text as Position);
  const whole = 'outbox/0123456789abcdef/1/5:9:5,7';
  const within = `${whole}/5:20:5/42`;

  it.each([whole, within, 'outbox/0123456789abcdef/1/5:5:'])('%s is read as it was written', (text) => {
    const place = at(text);
    expect(place && positionAt(place)).toBe(text);
  });
  it.each(['1/0/16B3748', '', 'outbox/0123456789abcdef/1', `${whole}/5:20:5`, `${within}/1`, 'outbox/x/1/5:5:'])(
    '%j is none',
    (text) => expect(at(text)).toBeNull(),
  );

  const reached = (from: string, mark: string): boolean => {
    const [place, wanted] = [at(from), at(mark)];
    return place !== null && wanted !== null && hasReachedPlace(place, wanted);
  };
  it.each([
    ['itself in the midst of a part', within, within, true],
    ['an earlier change of the same part', `${whole}/5:20:5/43`, within, true],
    ['not a later change of the same part', `${whole}/5:20:5/41`, within, false],
    ['where the part began', within, whole, true],
    ['a place in a part from behind it', 'outbox/0123456789abcdef/1/20:20:', within, true],
    ['not a place of another outbox', whole.replace('abcdef', 'fedcba'), whole, false],
    ['not a place of another timeline', whole.replace('/1/', '/2/'), whole, false],
  ])('reaches %s', (_name, from, mark, want) => expect(reached(from, mark)).toBe(want));
});
