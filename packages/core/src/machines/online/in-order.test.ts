/**
 * Goal: a key in order sorts behind all that were given before it, by a POST of etcd v2 too (SPEC R112).
 * Method: the floors as a table, what is refused, and a law over the order of text and of numbers.
 */
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Position } from '../../model/position.ts';
import type { Version } from '../../model/record.ts';
import type { Token } from './client-operation.ts';
import { directory } from './directory.ts';
import { inOrder, keyInOrder, lastNumber, nextNumber } from './in-order.ts';
import { noBridge } from './index-bridge.ts';

const queue = inOrder(directory('/queue'), '/queue.last');
const bytes = (text: string): Uint8Array => Buffer.from(text);
const token = (store: Token['store'], version: string): Token => ({ store, version: version as Version });
const bridge = { frozenAt: '1042' as Position, indexOffset: '965' };

describe('a number in order', () => {
  it.each([
    { name: 'begins with one', last: 0n, seen: null, at: noBridge, want: 1n },
    { name: 'is behind the last', last: 7n, seen: null, at: noBridge, want: 8n },
    { name: 'is behind an index that the source gave', last: 7n, seen: token('source', '30'), at: noBridge, want: 31n },
    { name: 'is behind the freeze', last: 7n, seen: null, at: bridge, want: 1043n },
    { name: 'is behind the last after a freeze', last: 5000n, seen: null, at: bridge, want: 5001n },
    {
      name: 'is behind the last after a rollback',
      last: 5000n,
      seen: token('source', '1100'),
      at: noBridge,
      want: 5001n,
    },
    {
      name: 'counts by itself where versions are no numbers',
      last: 2n,
      seen: token('source', 'x'),
      at: noBridge,
      want: 3n,
    },
  ])('$name', ({ last, seen, at, want }) => expect(nextNumber(last, seen, at)).toBe(want));

  it('is read from its counter, and from no other record', () => {
    expect(lastNumber(queue.counter, null)).toBe(0n);
    expect(lastNumber(queue.counter, bytes('17'))).toBe(17n);
    for (const value of ['', '-1', '1.5', 'x', '1'.repeat(21)]) {
      expect(() => lastNumber(queue.counter, bytes(value))).toThrow(/holds no number/);
    }
  });

  it('is not counted among what it orders', () => {
    for (const counter of ['/queue', '/queue/last']) {
      expect(() => inOrder(directory('/queue'), counter)).toThrow(/it is a counter/);
    }
  });

  it('law: keys sort as their numbers do', () => {
    const number = fc.bigInt({ min: 0n, max: 10n ** 20n - 1n });
    fc.assert(fc.property(number, number, (a, b) => keyInOrder(queue, a) < keyInOrder(queue, b) === a < b));
  });
});
