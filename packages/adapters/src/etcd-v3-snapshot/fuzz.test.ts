/**
 * Goal: a damaged snapshot never crashes the source and never gives a wrong record.
 * Method: whole files, damaged: the digest has to tell, always. The same with the digest made to match, as if etcd had
 * written nonsense: a coded error, or records in order.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { KeyferryError, prefixRange, type Key } from '@keyferry/core';
import * as fc from 'fast-check';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { anyDamage } from '../../test/damage.ts';
import { sealed, snapshotOf, type Revised } from '../../test/etcd-v3-snapshot-writer.ts';
import { openEtcdV3SnapshotStore } from './index.ts';

// Thousands of damaged inputs: seconds on a machine that is idle, many times that on one that is not.
vi.setConfig({ testTimeout: 120_000 });

let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'keyferry-snapshot-fuzz-'));
});
afterAll(() => rm(folder, { recursive: true }));

const history = (isSorted: boolean): readonly Revised[] =>
  Array.from({ length: 400 }, (_, i) => {
    const key = `/config/${String(isSorted ? i : (i * 7) % 90).padStart(4, '0')}` as Key;
    if (!isSorted && i % 11 === 5) return { delete: key };
    return { put: key, value: Buffer.alloc(i % 40 === 3 ? 5000 : 20, i), lease: i % 9 === 0 ? 77 : 0 };
  });
const originals = [true, false].map((isSorted) => snapshotOf(history(isSorted), new Map([[77, 60]])));

async function read(bytes: Buffer): Promise<string> {
  const file = join(folder, 'victim');
  await writeFile(file, bytes);
  const store = openEtcdV3SnapshotStore({ name: 'victim', file, nowMs: () => 0 });
  const everything = prefixRange('' as Key);
  try {
    const view = await store.openView(everything);
    try {
      let last: Key | null = null;
      for await (const { records } of view.scan(everything, { pageKeysMax: 7 })) {
        for (const { key } of records) {
          if (last !== null && key <= last) return 'out of order';
          last = key;
        }
      }
      return 'records';
    } finally {
      await view.close();
    }
  } catch (error) {
    if (error instanceof KeyferryError) return error.code;
    throw error;
  }
}

it.each(['in key order', 'with a history'])('law: damage to a snapshot %s is told by its digest', async (which) => {
  const original = originals[which === 'in key order' ? 0 : 1] as Buffer;
  expect(await read(original)).toBe('records');
  await fc.assert(
    fc.asyncProperty(anyDamage, async (damage) => {
      const spoiled = damage(original);
      expect(await read(spoiled)).toBe(spoiled.equals(original) ? 'records' : 'snapshot.damaged');
    }),
    { numRuns: 150 },
  );
});

it('law: nonsense with the right digest gives a coded error, or records in order', async () => {
  const seen = new Set<string>();
  const damages = fc.array(anyDamage, { minLength: 1, maxLength: 2 });
  await fc.assert(
    fc.asyncProperty(fc.constantFrom(...originals), damages, async (original, each) => {
      const image = original.subarray(0, -32);
      const meta = image.subarray(0, 8192);
      const rest = each.reduce((bytes, damage) => (bytes.length > 0 ? damage(bytes) : bytes), image.subarray(8192));
      const whole = Buffer.concat([meta, rest]);
      seen.add(await read(sealed(whole.subarray(0, whole.length - (whole.length % 512)))));
    }),
    { numRuns: 250 },
  );
  expect([...seen].toSorted()).toEqual(['records', 'snapshot.damaged']);
});
