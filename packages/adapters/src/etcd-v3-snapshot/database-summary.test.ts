/**
 * Goal: people who look at a database see how many keys a server would serve from it, and never a crash.
 * Method: a history with deletions and leases, counted by hand; then the same, damaged in one to three ways.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Key } from '@keyferry/core';
import * as fc from 'fast-check';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { fileOf } from '../../test/bbolt-memory-file.ts';
import { anyDamage } from '../../test/damage.ts';
import { snapshotOf } from '../../test/etcd-v3-snapshot-writer.ts';
import { readDatabase } from './database-summary.ts';

let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'keyferry-database-'));
});
afterAll(() => rm(folder, { recursive: true }));

const put = (key: string, bytes: number, lease = 0) => ({ put: key as Key, value: Buffer.alloc(bytes, 1), lease });
const history = [put('/a', 5), put('/b', 7, 9), { delete: '/a' as Key }, put('/c', 3), put('/b', 2, 9), put('/a', 4)];
/** As `member/snap/db` is: without the digest of a snapshot. */
const database = snapshotOf(history, new Map([[9, 60]])).subarray(0, -32);

async function read(bytes: Buffer) {
  const file = join(folder, 'db');
  await writeFile(file, bytes);
  return await readDatabase(file);
}

it('counts the latest of each key, and those that hang on a lease', async () => {
  expect(await read(database)).toEqual({
    kind: 'read',
    summary: { keys: 3, bytes: 6 + 4 + 5, leasedKeys: 1, leases: 1, users: 0, revision: 7, consistentIndex: null },
  });
});

it('tells one of etcd that lacks the v3 store, as in a backup, from a file that is not of etcd', async () => {
  expect(await read(fileOf({ meta: [[Buffer.from('consistent_index'), Buffer.alloc(8)]] }))).toEqual({
    kind: 'without-keys',
  });
  expect(await read(fileOf({ other: [] }))).toMatchObject({ kind: 'damaged', offset: 0 });
});

it.each(['scheduledCompactRev', 'finishedCompactRev'])('begins at %s where that is the higher one', async (name) => {
  const revision = Buffer.alloc(17);
  revision.writeBigUInt64BE(40n);
  revision.write('_', 8);
  expect(await read(fileOf({ key: [], meta: [[Buffer.from(name), revision]] }))).toMatchObject({
    summary: { keys: 0, revision: 40 },
  });
});

it('law: a damaged one is read or said to be damaged', async () => {
  const seen = new Set<string>();
  await fc.assert(
    fc.asyncProperty(fc.array(anyDamage, { minLength: 1, maxLength: 3 }), async (damages) => {
      const spoiled = damages.reduce((bytes, damage) => (bytes.length > 0 ? damage(bytes) : bytes), database);
      seen.add((await read(spoiled)).kind);
    }),
    { numRuns: 200 },
  );
  expect(seen).toContain('damaged');
});
