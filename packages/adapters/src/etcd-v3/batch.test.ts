/** Goal: a batch is cut where the server would refuse it, and only there. Method: edges by hand, a law over batches. */
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { GuardedPut, Key, MigrationId } from '@keyferry/core';
import { BatchLimits, cutBatch } from './batch.ts';
import { batchKeysMax, recordBytesMax, requestBytesMax } from './capabilities.ts';
import { ControlKeys } from './control.ts';

const keys = new ControlKeys('_keyferry/' as Key, 'm' as MigrationId);
const put = (key: string, bytes: number): GuardedPut => ({
  kind: 'put',
  key: key as Key,
  value: new Uint8Array(bytes),
  expiresAtMs: null,
  expect: 'absent',
});
const cut = (puts: readonly GuardedPut[], limits = new BatchLimits()) => {
  const refused: number[] = [];
  const parts = cutBatch(puts, keys, limits, (index) => refused.push(index));
  return { parts: parts.map((part) => part.length), indexes: parts.flat(), refused };
};

describe('cutBatch', () => {
  it('keeps a batch at the limits whole', () => {
    const bytes = Math.floor(1_400_000 / batchKeysMax) - 20;
    const puts = Array.from({ length: batchKeysMax }, (_, i) => put(`k${String(i).padStart(19, '0')}`, bytes));
    expect(cut(puts).parts).toEqual([batchKeysMax]);
  });

  it('cuts at the number of records', () => {
    const puts = Array.from({ length: 2 * batchKeysMax + 1 }, (_, i) => put(`k${i}`, 1));
    expect(cut(puts).parts).toEqual([batchKeysMax, batchKeysMax, 1]);
    const limits = new BatchLimits();
    limits.records = 100;
    expect(cut(puts, limits).parts).toEqual([100, 100, 51]);
  });

  it('sends what leaves no room for another alone', () => {
    expect(cut([put('a', 30_000), put('b', recordBytesMax - 1), put('c', 30_000)]).parts).toEqual([1, 1, 1]);
  });

  it('refuses what no request can hold, what has no key, and what lies among keyferry’s own', () => {
    const puts = [
      put('a', 1),
      put('b', recordBytesMax),
      put('', 1),
      put('_keyferry/x', 1),
      put('k'.repeat(400_000), 1),
      put('_keyferry', 1),
    ];
    expect(cut(puts)).toEqual({ parts: [2], indexes: [0, 5], refused: [1, 2, 3, 4] });
  });

  const anyPut = fc
    .tuple(fc.integer({ min: 0, max: 300 }), fc.integer({ min: 0, max: requestBytesMax }))
    .map(([keyLength, bytes]) => put('k'.repeat(keyLength), bytes));
  it('law: each record is in one part or refused, in order', () =>
    fc.assert(
      fc.property(fc.array(anyPut, { maxLength: 30 }), (puts) => {
        const { indexes, refused } = cut(puts);
        expect(indexes).toEqual(indexes.toSorted((a, b) => a - b));
        expect([...indexes, ...refused].toSorted((a, b) => a - b)).toEqual(puts.map((_, i) => i));
      }),
    ));
});
