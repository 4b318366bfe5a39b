/**
 * Goal: no bytes make the reader crash, loop, or hand out keys out of order: entries, or `BoltDamage`.
 * Method: a file with branches, long values and inline buckets, damaged in one to three ways; and nothing but noise. The
 * meta pages are left whole half of the time, so that what lies behind them is reached.
 */
import * as fc from 'fast-check';
import { expect, it } from 'vitest';
import { bytesOf, entriesOf, fileOf } from '../../test/bbolt-memory-file.ts';
import { anyDamage } from '../../test/damage.ts';
import { BoltDamage, BoltReader } from './reader.ts';

const metaBytes = 2 * 4096;
const original = fileOf({
  key: Array.from({ length: 700 }, (_, i) => [
    Buffer.from(String(i).padStart(6, '0')),
    Buffer.alloc(i % 200 === 0 ? 9000 : 30, i),
  ]),
  lease: Array.from({ length: 20 }, (_, i) => [Buffer.of(i), Buffer.alloc(8, i)]),
  meta: [],
});

function read(bytes: Buffer): 'read' | 'damaged' | 'out of order' {
  try {
    const reader = BoltReader.open(bytesOf(bytes));
    for (const name of reader.buckets().keys()) {
      for (const direction of ['forwards', 'backwards'] as const) {
        const keys = entriesOf(reader, name, direction).map(([key]) => key);
        const ascending = direction === 'forwards' ? keys : keys.toReversed();
        // No `expect` a key: it costs a hundred times what it looks at.
        if (!ascending.every((key, i) => i === 0 || Buffer.compare(ascending[i - 1] as Buffer, key) < 0)) {
          return 'out of order';
        }
      }
    }
    return 'read';
  } catch (error) {
    if (error instanceof BoltDamage) return 'damaged';
    throw error;
  }
}

it('law: a damaged file is read in order or refused', () => {
  const seen = { read: 0, damaged: 0, 'out of order': 0 };
  const damages = fc.array(anyDamage, { minLength: 1, maxLength: 3 });
  fc.assert(
    fc.property(damages, fc.boolean(), (each, sparesMeta) => {
      const head = sparesMeta ? original.subarray(0, metaBytes) : Buffer.alloc(0);
      const rest = each.reduce(
        (bytes, damage) => (bytes.length > 0 ? damage(bytes) : bytes),
        original.subarray(head.length),
      );
      seen[read(Buffer.concat([head, rest]))] += 1;
    }),
    { numRuns: 400 },
  );
  // Both are met, or the damage is none or too much.
  expect(seen.read).toBeGreaterThan(0);
  expect(seen.damaged).toBeGreaterThan(0);
  expect(seen['out of order']).toBe(0);
});

it('law: noise in the fields of a page is refused or read in order', () => {
  const page = fc.integer({ min: 2, max: original.length / 4096 - 1 });
  fc.assert(
    fc.property(page, fc.nat(60), fc.uint8Array({ minLength: 1, maxLength: 24 }), (id, at, noise) => {
      const bytes = Buffer.from(original);
      bytes.set(noise, id * 4096 + at);
      return read(bytes) !== 'out of order';
    }),
    { numRuns: 300 },
  );
});

it('law: noise is refused', () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 9000 }), (noise) => read(Buffer.from(noise)) === 'damaged'));
});
