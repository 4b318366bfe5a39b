/**
 * Goal: a file is written whole or not at all, once, and holds then exactly what was put, whoever put it and however
 * often it was killed. Method: core's suites on both formats; then what is left on disk at each step, by hand.
 */
import { createHash } from 'node:crypto';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { afterEach, describe, expect, it } from 'vitest';
import {
  chunkId,
  keyFromText,
  keyToText,
  prefixRange,
  type Fence,
  type GuardedPut,
  type Key,
  type MigrationId,
  type TargetStore,
} from '@keyferry/core';
import { bytes, contentOf, readAll, targetContract, type SeedRecord } from '@keyferry/core/testing';
import { openFileTarget, type FileFormat } from '../../src/file/index.ts';
import { recordLine } from '../../src/file/record-line.ts';
import { TreeJson } from '../../src/file/tree-json.ts';
import { fromTreeKey, toTreeKey } from '../../src/file/tree-order.ts';

const nowMs = (): number => Date.parse('2026-01-01T00:00:00Z');
const folders: string[] = [];

function newFile(): string {
  const folder = mkdtempSync(join(tmpdir(), 'keyferry-file-target-'));
  folders.push(folder);
  return join(folder, 'dump');
}

afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});

function textOf(format: FileFormat, records: readonly SeedRecord[]): string {
  const expiring = records.map(({ key, value, ttlMs }) => ({
    key,
    value,
    expiresAtMs: ttlMs === null ? null : nowMs() + ttlMs,
  }));
  if (format === 'ndjson') return expiring.map(recordLine).join('');
  const json = new TreeJson(nowMs());
  const ordered = expiring.map((record) => ({ ...record, key: toTreeKey(record.key) }));
  const nodes = ordered
    .toSorted((a, b) => (a.key < b.key ? -1 : 1))
    .map(({ key, value, expiresAtMs }) =>
      json.record({ key: keyToText(fromTreeKey(key)) ?? '', value: Buffer.from(value).toString(), expiresAtMs }),
    );
  return nodes.join('') + json.end();
}

for (const { format, name } of [
  { format: 'ndjson', name: 'a file of NDJSON' },
  { format: 'etcd-v2-json', name: 'a dump of etcd v2' },
] as const) {
  const isTree = format === 'etcd-v2-json';
  targetContract(name, {
    key: (text) => keyFromText(`/contract/${text}`),
    nowMs,
    traits: { sharedWrites: false, ...(isTree && { binaryKeys: false, binaryValues: false, parentKeys: false }) },
    open: async (records) => {
      const file = newFile();
      if (records.length > 0) writeFileSync(file, textOf(format, records));
      const stores: TargetStore[] = [];
      const open = async (): Promise<TargetStore> => {
        const store = openFileTarget({ name: 'dump', file, format, nowMs });
        stores.push(store);
        return store;
      };
      return {
        store: await open(),
        openAnother: open,
        change: () => Promise.reject(new TypeError('nobody else writes single records of a file')),
        close: async () => {
          for (const store of stores) await store.close();
        },
      };
    },
  });
}

const first: Fence = { attempt: 1, token: 1 };
const everything = prefixRange(keyFromText(''));
const migration = 'dump-config' as MigrationId;
const putOf = (key: string, value: string, expiresAtMs: number | null = null): GuardedPut => ({
  kind: 'put',
  key: keyFromText(key),
  value: bytes(value),
  expiresAtMs,
  expect: 'absent',
});

async function put(store: TargetStore, puts: readonly GuardedPut[], epoch = first) {
  const control = store.control(migration);
  await control.raiseEpoch(epoch);
  const held = await control.readFence(chunkId(0));
  const claimed = await control.claimChunk(chunkId(0), { ...epoch, token: (held?.token ?? 0) + 1 }, epoch);
  if (claimed.kind !== 'claimed') throw new TypeError('refused');
  return await claimed.writer.write(puts);
}

const open = (file: string, format: FileFormat = 'ndjson'): TargetStore =>
  openFileTarget({ name: 'dump', file, format, nowMs });
const filesBeside = (file: string): readonly string[] => readdirSync(join(file, '..')).toSorted();

async function rollBack(store: TargetStore, epoch: Fence): Promise<readonly string[]> {
  const control = store.control(migration);
  await control.raiseEpoch(epoch);
  const outcomes: string[] = [];
  for await (const page of control.listCreated(everything, { pageKeysMax: 2 })) {
    outcomes.push(...(await control.removeCreated(page, epoch)));
  }
  await control.dropControl(epoch);
  return outcomes;
}

describe('a file as a target', () => {
  it('is read without a trace: nothing is made before the first write', async () => {
    const file = newFile();
    const store = open(file);
    expect(await store.head()).toBe('absent');
    expect(await readAll(store, everything)).toEqual([]);
    expect(await store.countRecords(null, 1)).toBe(0);
    expect(await store.control(migration).readEpoch()).toBeNull();
    expect(await store.describe()).toMatchObject({ kind: 'file', version: 'ndjson, not written yet' });
    expect(filesBeside(file)).toEqual([]);
    await store.close();
  });

  it('and what waits for it are for their owner only, and the values that waited are gone once it is there', async () => {
    const file = newFile();
    const store = open(file);
    const value = 'secret '.repeat(10_000);
    await put(store, [putOf('/a', value)]);
    const staging = join(file, '..', '.dump.keyferry');
    expect(statSync(staging).mode & 0o777).toBe(0o600);
    expect(existsSync(file)).toBe(false);
    await store.publication?.publish(migration, first);
    expect(statSync(file).mode & 0o777).toBe(0o600);
    await store.close();
    expect(filesBeside(file)).toEqual(['.dump.keyferry', 'dump']);
    expect(readFileSync(staging).includes('secret')).toBe(false);
    expect(statSync(staging).size).toBeLessThan(200_000);
  });

  it.each([
    {
      format: 'ndjson' as const,
      text: '{"key":"/a-b","value":"2"}\n{"key":"/a/b","value":"1","expiresAt":"2026-01-01T00:01:00.000Z"}\n',
    },
    {
      format: 'etcd-v2-json' as const,
      text:
        '{"action":"get","node":{"dir":true,"nodes":[{"key":"/a","dir":true,"nodes":[{"key":"/a/b","value":"1",' +
        '"expiration":"2026-01-01T00:01:00.000Z","ttl":60,"modifiedIndex":1,"createdIndex":1}],"modifiedIndex":1,' +
        '"createdIndex":1},{"key":"/a-b","value":"2","modifiedIndex":2,"createdIndex":2}]}}\n',
    },
  ])(
    'of $format has the same bytes for the same records, in whatever order they were put',
    async ({ format, text }) => {
      const puts = [putOf('/a/b', '1', nowMs() + 60_000), putOf('/a-b', '2')];
      for (const order of [puts, puts.toReversed()]) {
        const file = newFile();
        const store = open(file, format);
        await put(store, order);
        await store.publication?.publish(migration, first);
        expect(readFileSync(file, 'utf8')).toBe(text);
        expect(await store.head()).toBe(`sha256:${createHash('sha256').update(text).digest('hex')}`);
        await store.close();
      }
    },
  );

  it('goes on where a killed process left it, and is published again from its start', async () => {
    const file = newFile();
    const killed = open(file);
    await put(killed, [putOf('/a', '1')]);
    writeFileSync(join(file, '..', '.dump.01234567-89ab-cdef-0123-456789abcdef.part'), '{"key":"/a"');
    const store = open(file); // the other one was never closed
    const second: Fence = { attempt: 1, token: 2 };
    const claimed = await store.control(migration).claimChunk(chunkId(0), second, first);
    if (claimed.kind !== 'claimed') throw new TypeError('refused');
    expect(await claimed.writer.write([putOf('/a', '1'), putOf('/b', '2')])).toMatchObject([
      { kind: 'already-written' },
      { kind: 'written' },
    ]);
    await store.publication?.publish(migration, first);
    expect(readFileSync(file, 'utf8')).toBe('{"key":"/a","value":"1"}\n{"key":"/b","value":"2"}\n');
    await killed.close();
    await store.close();
    expect(filesBeside(file)).toEqual(['.dump.keyferry', 'dump']);
  });

  it('shuts a worker out that wakes up after it was published', async () => {
    const file = newFile();
    const store = open(file);
    const control = store.control(migration);
    await control.raiseEpoch(first);
    const claimed = await control.claimChunk(chunkId(0), first, first);
    if (claimed.kind !== 'claimed') throw new TypeError('refused');
    await claimed.writer.write([putOf('/a', '1')]);
    await store.publication?.publish(migration, first);
    await expect(claimed.writer.write([putOf('/b', 'late')])).rejects.toMatchObject({ code: 'fence.lost' });
    await store.close();
  });

  it('that somebody made meanwhile is left as it is', async () => {
    const file = newFile();
    const store = open(file);
    await put(store, [putOf('/a', '1')]);
    writeFileSync(file, 'theirs');
    await expect(store.publication?.publish(migration, first)).rejects.toMatchObject({
      code: 'target.exists',
      details: { store: 'dump', what: file },
    });
    expect(readFileSync(file, 'utf8')).toBe('theirs');
    await store.close();
  });

  it('that is there already is compared with, and never written', async () => {
    const file = newFile();
    writeFileSync(file, '{"key":"/a","value":"1"}\n{"key":"/b","value":"2"}\n');
    const store = open(file);
    expect(await put(store, [putOf('/a', '1'), putOf('/b', 'other'), putOf('/c', '3')])).toMatchObject([
      { kind: 'present', equal: true },
      { kind: 'present', equal: false },
      { kind: 'refused' },
    ]);
    await store.publication?.publish(migration, first);
    expect(readFileSync(file, 'utf8')).toBe('{"key":"/a","value":"1"}\n{"key":"/b","value":"2"}\n');
    await store.close();
  });

  it('is rolled back whole, and leaves only the epoch', async () => {
    const file = newFile();
    const store = open(file);
    await put(
      store,
      ['/a', '/b', '/c'].map((key) => putOf(key, 'v')),
    );
    await store.publication?.publish(migration, first);
    expect(await rollBack(store, { attempt: 1, token: 2 })).toEqual(['removed', 'removed', 'absent']);
    expect(await store.publication?.exists()).toBe(false);
    await store.close();
    expect(filesBeside(file)).toEqual(['.dump.keyferry']);
    const again = open(file);
    expect(await again.control(migration).readEpoch()).toEqual({ attempt: 1, token: 2 });
    expect(await readAll(again, everything)).toEqual([]);
    await again.close();
  });

  it('is rolled back before it was published', async () => {
    const file = newFile();
    const store = open(file);
    await put(store, [putOf('/a', 'v'), putOf('/b', 'v')]);
    expect(await rollBack(store, { attempt: 1, token: 2 })).toEqual(['removed', 'removed']);
    expect(await readAll(store, everything)).toEqual([]);
    await store.close();
  });

  it('that was changed since it was written is not rolled back', async () => {
    const file = newFile();
    const store = open(file);
    await put(store, [putOf('/a', 'v')]);
    await store.publication?.publish(migration, first);
    const changed = `${readFileSync(file, 'utf8')}{"key":"/b","value":"theirs"}\n`;
    writeFileSync(file, changed);
    expect(await rollBack(store, { attempt: 1, token: 2 })).toEqual([]);
    expect(readFileSync(file, 'utf8')).toBe(changed);
    await store.close();
  });

  it('that lies in a folder which is not there cannot be written, and says so at the first write', async () => {
    const store = open(join(newFile(), 'none', 'dump'));
    await expect(store.control(migration).raiseEpoch(first)).rejects.toMatchObject({ code: 'file.unwritable' });
    await store.close();
  });

  it.each([
    { key: '/a//b', why: /empty part/ },
    { key: '/a/', why: /empty part/ },
    { key: 'a', why: /begin with a slash/ },
    { key: '/a/../b', why: /"\.\."/ },
    { key: '/there/below', why: /above it holds a value/ },
    { key: '/dir', why: /keys below it/ },
  ])('of an etcd v2 tree refuses $key', async ({ key, why }) => {
    const store = open(newFile(), 'etcd-v2-json');
    const [, , outcome, other] = await put(store, [
      putOf('/there', '1'),
      putOf('/dir/x', '2'),
      putOf(key, '3'),
      putOf('/z', '4'),
    ]);
    expect(outcome).toMatchObject({ kind: 'refused', detail: expect.stringMatching(why) });
    expect(other).toMatchObject({ kind: 'written' });
    await store.publication?.publish(migration, first);
    expect(contentOf(await readAll(store, everything)).map((record) => record.key)).toEqual(['/dir/x', '/there', '/z']);
    await store.close();
  });

  it('of an etcd v2 tree refuses bytes that are not UTF-8', async () => {
    const store = open(newFile(), 'etcd-v2-json');
    const outcomes = await put(store, [
      { ...putOf('/a', ''), value: Uint8Array.of(0xff) },
      { ...putOf('/a', ''), key: '/\xff' as Key },
    ]);
    expect(outcomes).toMatchObject([{ kind: 'refused' }, { kind: 'refused' }]);
    await store.close();
  });
});

describe('what waits for a file', () => {
  /** Batches that lie apart wait as packs, those that meet are taken apart: nobody may see the difference. */
  it('law: is what was put, in whatever batches, and each key has the outcome of a table', async () => {
    const name = fc.integer({ min: 0, max: 40 }).map((n) => `/k${String(n).padStart(2, '0')}`);
    const batch = fc.uniqueArray(name, { minLength: 1, maxLength: 12 });
    await fc.assert(
      fc.asyncProperty(fc.array(fc.tuple(batch, fc.boolean()), { minLength: 1, maxLength: 8 }), async (batches) => {
        const file = newFile();
        const store = open(file);
        const there = new Map<string, string>();
        for (const [names, isSorted] of batches) {
          const keys = isSorted ? names.toSorted() : names;
          const puts = keys.map((key) => putOf(key, there.has(key) ? `${key} again` : `${key} ${there.size}`));
          const expected = keys.map((key) =>
            there.has(key) ? { kind: 'present', equal: false } : { kind: 'written' },
          );
          const outcomes = await put(store, puts);
          expect(outcomes).toMatchObject(expected);
          for (const [i, key] of keys.entries()) {
            if (!there.has(key)) there.set(key, Buffer.from((puts[i] as GuardedPut).value).toString());
          }
          const found = await store.lookUp(keys.map((key) => keyFromText(key)));
          expect(found.map((record) => record && Buffer.from(record.value).toString())).toEqual(
            keys.map((key) => there.get(key)),
          );
          expect(await store.countRecords(everything, 100)).toBe(there.size);
        }
        const sorted = [...there].toSorted(([a], [b]) => (a < b ? -1 : 1));
        expect((await readAll(store, everything)).map((record) => record.key)).toEqual(sorted.map(([key]) => key));
        await store.publication?.publish(migration, first);
        const lines = sorted.map(([key, value]) => `${JSON.stringify({ key, value })}\n`);
        expect(readFileSync(file, 'utf8')).toBe(lines.join(''));
        await store.close();
      }),
      { numRuns: 25 },
    );
  });

  it('keeps its versions when it is taken apart, and is removed by them', async () => {
    const file = newFile();
    const store = open(file);
    await put(store, [putOf('/a', '1'), putOf('/b', '2'), putOf('/c', '3')]);
    const before = await readAll(store, everything);
    const control = store.control(migration);
    await control.raiseEpoch({ attempt: 1, token: 2 });
    const created = [];
    for await (const page of control.listCreated(everything, { pageKeysMax: 10 })) created.push(...page);
    expect(created).toEqual(before.map(({ key, version }) => ({ key, version })));
    expect(await control.removeCreated(created.slice(1), { attempt: 1, token: 2 })).toEqual(['removed', 'removed']);
    expect((await readAll(store, everything)).map(({ key }) => key)).toEqual(['/a']);
    await store.close();
  });
});
