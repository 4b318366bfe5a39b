/**
 * Goal: a snapshot file of etcd v3 is a source and a target like any other; as a target it is written whole or not at all,
 * the same bytes for the same records. Method: core's suites, on files with any history of revisions; then what only
 * this format has, by hand. That etcd itself takes and gives such files: etcd-v3-snapshot-servers.test.ts.
 */
import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  chunkId,
  keyFromText,
  prefixRange,
  type Fence,
  type GuardedPut,
  type Key,
  type MigrationId,
  type TargetStore,
} from '@keyferry/core';
import { bytes, readAll, sourceContract, targetContract, type SeedRecord } from '@keyferry/core/testing';
import { afterAll, describe, expect, it } from 'vitest';
import { openEtcdV3SnapshotStore, openEtcdV3SnapshotTarget } from '../../src/etcd-v3-snapshot/index.ts';
import { snapshotOf, type Revised } from '../etcd-v3-snapshot-writer.ts';

const nowMs = (): number => Date.parse('2026-01-01T00:00:00Z');
const folder = mkdtempSync(join(tmpdir(), 'keyferry-snapshot-'));
let files = 0;
afterAll(() => rmSync(folder, { recursive: true }));

function newFile(): string {
  files += 1;
  return join(folder, `snapshot-${files}`);
}

/** As an application would have made them: in any order, some written twice, some deleted in between, some others gone. */
function historyOf(records: readonly SeedRecord[], isSorted: boolean) {
  const leases = new Map<number, number>();
  const puts = records.map(({ key, value, ttlMs }): Revised => {
    const lease = ttlMs === null ? 0 : 1000 + leases.size;
    if (ttlMs !== null) leases.set(lease, Math.ceil(ttlMs / 1000));
    return { put: key, value, lease };
  });
  const keyOf = (each: Revised): Key => ('put' in each ? each.put : each.delete);
  if (isSorted) return { leases, history: puts.toSorted((a, b) => (keyOf(a) < keyOf(b) ? -1 : 1)) };
  const before = puts.flatMap((each, i): readonly Revised[] => {
    const earlier = { put: keyOf(each), value: bytes('earlier') };
    return i % 3 === 0 ? [] : i % 3 === 1 ? [earlier] : [earlier, { delete: keyOf(each) }];
  });
  const gone: readonly Revised[] = [
    { put: keyFromText('/contract/gone'), value: bytes('x') },
    { delete: keyFromText('/contract/gone') },
  ];
  const shuffled = puts.toSorted((a, b) => (digest(keyOf(a)) < digest(keyOf(b)) ? -1 : 1));
  return { leases, history: [...before, ...gone, ...shuffled] };
}

const digest = (text: string): string => createHash('sha256').update(text).digest('hex');

function fileWith(records: readonly SeedRecord[], isSorted: boolean): string {
  const file = newFile();
  const { history, leases } = historyOf(records, isSorted);
  writeFileSync(file, snapshotOf(history, leases));
  return file;
}

for (const isSorted of [true, false]) {
  sourceContract(`a snapshot of etcd v3 ${isSorted ? 'in key order' : 'with a history'}`, {
    key: (text) => keyFromText(`/contract/${text}`),
    nowMs,
    traits: { expiryPrecisionMs: 1000 },
    open: async (records) => {
      const file = fileWith(records, isSorted);
      const open = () => openEtcdV3SnapshotStore({ name: 'saved', file, nowMs });
      return { store: open(), openAnother: async () => open(), close: async () => undefined };
    },
  });
}

targetContract('a snapshot of etcd v3', {
  key: (text) => keyFromText(`/contract/${text}`),
  nowMs,
  traits: { sharedWrites: false, expiryPrecisionMs: 1000 },
  open: async (records) => {
    const file = records.length === 0 ? newFile() : fileWith(records, true);
    const stores: TargetStore[] = [];
    const open = async (): Promise<TargetStore> => {
      const store = openEtcdV3SnapshotTarget({ name: 'new', file, nowMs });
      stores.push(store);
      return store;
    };
    return {
      store: await open(),
      openAnother: open,
      change: () => Promise.reject(new TypeError('nobody writes single records of a snapshot')),
      close: async () => {
        for (const store of stores) await store.close();
      },
    };
  },
});

const first: Fence = { attempt: 1, token: 1 };
const everything = prefixRange(keyFromText(''));
const migration = 'to-snapshot' as MigrationId;
const putOf = (key: Key, value: Uint8Array, expiresAtMs: number | null = null): GuardedPut => ({
  kind: 'put',
  key,
  value,
  expiresAtMs,
  expect: 'absent',
});

async function publish(puts: readonly GuardedPut[], options: { readonly firstRevision?: number } = {}) {
  const file = newFile();
  const store = openEtcdV3SnapshotTarget({ name: 'new', file, nowMs, ...options });
  const control = store.control(migration);
  await control.raiseEpoch(first);
  const claimed = await control.claimChunk(chunkId(0), first, first);
  if (claimed.kind !== 'claimed') throw new TypeError('refused');
  await claimed.writer.write(puts);
  await store.publication?.publish(migration, first);
  return { file, store };
}

describe('a snapshot that keyferry writes', () => {
  const puts = [
    putOf('/z/\xff\x00' as Key, Uint8Array.of(0, 255)),
    putOf(keyFromText('/a'), bytes('')),
    putOf(keyFromText('/big'), new Uint8Array(1024 * 1024).fill(7)),
    putOf(keyFromText('/ttl/1'), bytes('1'), nowMs() + 61_000),
    putOf(keyFromText('/ttl/2'), bytes('2'), nowMs() + 90_000),
    putOf(keyFromText('/ttl/3'), bytes('3'), nowMs() + 86_400_000),
  ];

  it('is the same bytes for the same records, in whatever order they were put, for its owner only', async () => {
    const [one, other] = [await publish(puts), await publish(puts.toReversed())];
    const content = readFileSync(one.file);
    expect(readFileSync(other.file).equals(content)).toBe(true);
    expect(await one.store.head()).toBe(`sha256:${createHash('sha256').update(content).digest('hex')}`);
    expect(content.length % 512).toBe(32);
    expect(content.subarray(-32)).toEqual(createHash('sha256').update(content.subarray(0, -32)).digest());
    expect(statSync(one.file).mode & 0o777).toBe(0o600);
  });

  it('counts revisions up from the first one, in the order of the keys, and shares leases by the minute', async () => {
    const { store } = await publish(puts, { firstRevision: 5000 });
    const records = await readAll(store, everything);
    expect(records.map(({ key, version }) => [key, version])).toEqual([
      ['/a', '5000'],
      ['/big', '5001'],
      ['/ttl/1', '5002'],
      ['/ttl/2', '5003'],
      ['/ttl/3', '5004'],
      ['/z/\xff\x00', '5005'],
    ]);
    expect(records.map(({ expiresAtMs }) => (expiresAtMs === null ? null : expiresAtMs - nowMs()))).toEqual([
      null,
      null,
      120_000,
      120_000,
      86_400_000,
      null,
    ]);
    expect(await store.describe()).toMatchObject({
      kind: 'etcd-v3-snapshot',
      version: expect.stringContaining('5005'),
    });
  });

  it('that was changed since is neither read nor rolled back', async () => {
    const { file, store } = await publish(puts);
    const content = readFileSync(file);
    content[5000] = (content[5000] ?? 0) ^ 1;
    writeFileSync(file, content);
    await expect(store.openView(everything)).rejects.toMatchObject({
      code: 'snapshot.damaged',
      details: { file, offset: content.length - 32 },
    });
    const control = store.control(migration);
    await control.raiseEpoch({ attempt: 1, token: 2 });
    for await (const page of control.listCreated(everything, { pageKeysMax: 10 })) expect(page).toEqual([]);
    expect(readFileSync(file).equals(content)).toBe(true);
  });
});

describe('a file that is no snapshot', () => {
  it.each([
    { what: 'a copy of a database, without a digest', content: () => snapshotOf([]).subarray(0, -32), why: /digest/ },
    { what: 'an empty file', content: () => Buffer.alloc(0), why: /digest/ },
    { what: 'a file of zeros with its digest', content: () => zeros(), why: /meta page/ },
  ])('is refused: $what', async ({ content, why }) => {
    const file = newFile();
    writeFileSync(file, content());
    const store = openEtcdV3SnapshotStore({ name: 'saved', file, nowMs });
    await expect(store.openView(everything)).rejects.toMatchObject({
      code: 'snapshot.damaged',
      details: { detail: expect.stringMatching(why) as string },
    });
  });

  it('is refused: none at all', async () => {
    const store = openEtcdV3SnapshotStore({ name: 'saved', file: join(folder, 'none'), nowMs });
    await expect(store.head()).rejects.toMatchObject({ code: 'file.unreadable' });
  });
});

function zeros(): Buffer {
  const image = Buffer.alloc(16_384);
  return Buffer.concat([image, createHash('sha256').update(image).digest()]);
}

it('keys of keyferry itself, in a snapshot of a server that it wrote to, are not among the records', async () => {
  const file = newFile();
  writeFileSync(
    file,
    snapshotOf([
      { put: keyFromText('/a'), value: bytes('1') },
      { put: keyFromText('_keyferry/m/epoch'), value: bytes('1.1') },
    ]),
  );
  const store = openEtcdV3SnapshotStore({ name: 'saved', file, nowMs });
  expect((await readAll(store, everything)).map(({ key }) => key)).toEqual(['/a']);
});
