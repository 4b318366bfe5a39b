/**
 * Goal: a kept record that is as it was is admitted, one that changed is found out by itself, and past the list's bound
 * the rest is admitted or refused as a whole.
 * Method: lists of three with room for two or more, held against themselves and against one change.
 */
import { describe, expect, it } from 'vitest';
import { keyFromText } from '../model/key.ts';
import type { StoredRecord, Version } from '../model/record.ts';
import { digestsEqual, RecordHasher } from './digest.ts';
import { ExceptionCheck, ExceptionList, noExceptions, type Exceptions } from './exceptions.ts';

const hasher = new RecordHasher('0'.repeat(32));
const record = (key: string, value: string, version = '1'): StoredRecord => ({
  key: keyFromText(key),
  value: new TextEncoder().encode(value),
  version: version as Version,
  expiresAtMs: null,
});
const three = [record('a', '1'), record('b', '2'), record('c', '3')];

function check(found: readonly StoredRecord[], max: number) {
  const list = new ExceptionList(hasher, max);
  for (const kept of three) list.add(kept, kept.key === 'b');
  const planned = JSON.parse(JSON.stringify(list.value())) as Exceptions;
  const exceptions = new ExceptionCheck(hasher, planned);
  const judged = found.map((each) => exceptions.judge(each));
  return { judged, restHolds: digestsEqual(exceptions.restFound(), planned.rest) };
}

describe('exceptions', () => {
  it.each([3, 4])('are admitted one by one while there is room for %i', (max) => {
    expect(check(three, max)).toEqual({ judged: ['kept', 'kept', 'kept'], restHolds: true });
    expect(check(three.slice(1), max)).toEqual({ judged: ['kept', 'kept'], restHolds: true });
  });

  it.each([
    { name: 'its value', changed: record('b', 'x') },
    { name: 'its version', changed: record('b', '2', '2') },
    { name: 'that it expires', changed: { ...record('b', '2'), expiresAtMs: 9 } },
  ])('are found out by $name, each by itself', ({ changed }) => {
    const found = three.map((kept) => (kept.key === 'b' ? changed : kept));
    expect(check(found, 3)).toEqual({ judged: ['kept', 'other', 'kept'], restHolds: true });
  });

  it('do not admit a record that the plan did not keep', () => {
    expect(check([record('z', '1')], 3).judged).toEqual(['other']);
    expect(new ExceptionCheck(hasher, noExceptions).judge(record('a', '1'))).toBe('other');
  });

  it('are one for all behind the list', () => {
    expect(check(three, 2)).toEqual({ judged: ['kept', 'kept', 'rest'], restHolds: true });
    expect(check([record('a', 'x'), ...three.slice(1)], 1)).toEqual({
      judged: ['other', 'rest', 'rest'],
      restHolds: true,
    });
    expect(check(three.slice(0, 2), 1)).toEqual({ judged: ['kept', 'rest'], restHolds: false });
    expect(check([...three, record('d', '4')], 1).restHolds).toBe(false);
  });

  it('say how many may go missing by themselves', () => {
    const list = new ExceptionList(hasher);
    for (const kept of three) list.add(kept, kept.key === 'b');
    expect(list.value()).toMatchObject({ expiring: 1, listedTo: null, rest: { count: 0 } });
  });
});
