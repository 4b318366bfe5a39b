/**
 * Goal: the order of the table is the order of ids, whatever they are made of, and no two ids share a key.
 * Method: laws over ids that are generated near the length where they are cut.
 */
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { areUnordered, compareIds, itemKey, partitionsOf, sortKeyBefore } from './keys.ts';
import { nextVersion, partCountOf } from './versions.ts';

const character = fc.constantFrom('a', 'z', '\0', '/', 'é', '日', '\uffff', '😀', '\u{10fffe}');
/** With a beginning that many share, so that order and cuts are put to the test. */
const id = fc
  .tuple(fc.constantFrom(0, 894, 897, 899, 900), fc.array(character, { maxLength: 12 }))
  .map(([length, end]) => 'k'.repeat(length) + end.join(''));
const bytesOf = (text: string): Buffer => Buffer.from(text);
const sk = (text: string): string => itemKey('event', 'm', text).sk;

describe('sort keys', () => {
  it('law: are in the order of ids, or known not to be', () =>
    fc.assert(
      fc.property(id, id, (a, b) => {
        const table = Math.sign(Buffer.compare(bytesOf(sk(a)), bytesOf(sk(b))));
        return areUnordered(sk(a), sk(b)) ? a !== b || table === 0 : table === Math.sign(compareIds(a, b));
      }),
      { numRuns: 2000 },
    ));

  it('law: are short enough, not empty, and one for each id', () =>
    fc.assert(
      fc.property(id, id, (a, b) => {
        expect(bytesOf(sk(a)).length).toBeLessThanOrEqual(1024);
        expect(sk(a)).not.toBe('');
        return (sk(a) === sk(b)) === (a === b);
      }),
    ));

  it('law: a list that begins behind an id misses none that follow it', () =>
    fc.assert(
      fc.property(
        id,
        id,
        (a, b) => compareIds(a, b) >= 0 || Buffer.compare(bytesOf(sk(b)), bytesOf(sortKeyBefore(a))) > 0,
      ),
      { numRuns: 2000 },
    ));
});

describe('partitions', () => {
  it('law: an item lies in one of those that a list looks into, and long ids that begin alike in the same one', () =>
    fc.assert(
      fc.property(id, id, (a, b) => {
        const [of, other] = [itemKey('chunk', 'm/1', a), itemKey('chunk', 'm/1', b)];
        expect(partitionsOf('chunk', 'm/1')).toContain(of.pk);
        return !areUnordered(of.sk, other.sk) || of.pk === other.pk;
      }),
    ));

  it('of kinds, scopes and shards are never each other', () => {
    const all = [
      ...partitionsOf('chunk', 'm'),
      ...partitionsOf('chunk', 'm#1'),
      ...partitionsOf('chunk-plan', 'm'),
      ...partitionsOf('lock', 'locks'),
      ...partitionsOf('migration', 'migrations'),
    ];
    expect(new Set(all).size).toBe(all.length);
    expect(partitionsOf('lock', 'locks')).toHaveLength(1);
  });
});

describe('versions', () => {
  it('count, say how many parts there are, and never come twice', () => {
    const first = nextVersion('absent', 0);
    const second = nextVersion(first, 14);
    expect([Number.parseInt(first, 10), Number.parseInt(second, 10)]).toEqual([1, 2]);
    expect([partCountOf(first), partCountOf(second), partCountOf(''), partCountOf('7')]).toEqual([0, 14, 0, 0]);
    expect(new Set(Array.from({ length: 100 }, () => nextVersion('absent', 0))).size).toBe(100);
  });
});
