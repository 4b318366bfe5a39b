/**
 * Goal: the memory store keeps every promise of the ports, so that what the engine's tests show on it holds elsewhere.
 * Method: the contract suites; then what is the memory store's alone: rule switches, faults, closing.
 */
import { describe, expect, it } from 'vitest';
import {
  chunkId,
  isKeyferryError,
  keyFromText,
  prefixRange,
  type Fence,
  type KeyRange,
  type MigrationId,
} from '../src/index.ts';
import {
  bytes,
  feedContract,
  MemoryStore,
  sourceContract,
  tailContract,
  targetContract,
  type Change,
  type SeedRecord,
} from './index.ts';

const startMs = 1_700_000_000_000;
let nowMs = startMs;

async function openFixture(records: readonly SeedRecord[], { writtenOnce = false } = {}) {
  nowMs = startMs;
  const store = new MemoryStore({ nowMs: () => nowMs, writtenOnce });
  const change = async (changes: readonly Change[]) => {
    for (const each of changes) {
      if ('delete' in each) store.delete(each.delete);
      else store.put(each.put.key, each.put.value, each.put.ttlMs === null ? null : nowMs + each.put.ttlMs);
    }
  };
  await change(records.map((put) => ({ put })));
  return {
    store,
    change,
    deleteRange: async (range: KeyRange) => store.deleteRange(range),
    loseHistory: async () => store.compact(),
    openAnother: async () => new MemoryStore({ sharedWith: store, writtenOnce }),
    passTime: async (ms: number) => {
      nowMs += ms;
    },
    putTombstone: async (migration: MigrationId, key: SeedRecord['key']) => store.putTombstone(migration, key),
    close: async () => {
      expect(store.openViews()).toBe(0);
      await store.close();
    },
  };
}

const harness = {
  key: keyFromText,
  nowMs: () => nowMs,
  traits: { lawRuns: 200 },
  open: (records: readonly SeedRecord[]) => openFixture(records),
};
sourceContract('the memory store', harness);
targetContract('the memory store', harness);
targetContract('the memory store that is written once', {
  ...harness,
  traits: { lawRuns: 20, sharedWrites: false },
  open: (records) => openFixture(records, { writtenOnce: true }),
});
targetContract('the memory store under a prefix', { ...harness, key: (name) => keyFromText(`/prefix/${name}`) });
feedContract('the memory store', harness);
tailContract('the memory store', harness);

const migration = 'm' as MigrationId;
const key = keyFromText('k');
const put = { kind: 'put', key, value: bytes('ours'), expiresAtMs: null, expect: 'absent' } as const;
const one: Fence = { attempt: 1, token: 1 };
const two: Fence = { attempt: 1, token: 2 };

async function claimOn(store: MemoryStore) {
  const control = store.control(migration);
  await control.raiseEpoch(one);
  const outcome = await control.claimChunk(chunkId(0), one, one);
  if (outcome.kind !== 'claimed') throw new Error('refused');
  return { control, writer: outcome.writer };
}

describe('a rule of the memory store that is switched off', () => {
  it.each([
    { off: {}, kind: 'present' },
    { off: { absentGuard: false }, kind: 'written' },
  ])('absentGuard $off: a put over a present key is $kind', async ({ off, kind }) => {
    const store = new MemoryStore({ rules: off });
    store.put(key, bytes('theirs'));
    const { writer } = await claimOn(store);
    expect(await writer.write([put])).toMatchObject([{ kind }]);
  });

  it.each([
    { off: {}, kind: 'present' },
    { off: { versionGuard: false }, kind: 'written' },
  ])('versionGuard $off: a put over another version is $kind', async ({ off, kind }) => {
    const store = new MemoryStore({ rules: off });
    const version = store.put(key, bytes('theirs'));
    store.put(key, bytes('newer'));
    const { writer } = await claimOn(store);
    expect(await writer.write([{ ...put, expect: { version } }])).toMatchObject([{ kind }]);
  });

  it.each([
    { off: {}, kind: 'tombstoned' },
    { off: { tombstoneGuard: false }, kind: 'written' },
  ])('tombstoneGuard $off: a put over a tombstone is $kind', async ({ off, kind }) => {
    const store = new MemoryStore({ rules: off });
    store.putTombstone(migration, key);
    const { writer } = await claimOn(store);
    expect(await writer.write([put])).toMatchObject([{ kind }]);
  });

  it.each([
    { off: {}, refused: true },
    { off: { fence: false }, refused: false },
  ])('fence $off: a late worker is shut out: $refused', async ({ off, refused }) => {
    const store = new MemoryStore({ rules: off });
    const { control, writer } = await claimOn(store);
    await control.claimChunk(chunkId(0), two, one);
    const late = await writer.write([put]).catch((error: unknown) => error);
    expect(isKeyferryError(late, 'fence.lost')).toBe(refused);
    expect(store.snapshot().has(key)).toBe(!refused);
  });

  it.each([
    { off: {}, refused: true },
    { off: { epoch: false }, refused: false },
  ])('epoch $off: a worker of an older one is shut out: $refused', async ({ off, refused }) => {
    const store = new MemoryStore({ rules: off });
    const { control, writer } = await claimOn(store);
    await control.raiseEpoch(two);
    const late = await writer.write([put]).catch((error: unknown) => error);
    expect(isKeyferryError(late, 'fence.lost')).toBe(refused);
    expect(store.snapshot().has(key)).toBe(!refused);
  });
});

describe('a fault of the memory store', () => {
  it('before the effect leaves the store as it was; after it only the answer is lost', async () => {
    const store = new MemoryStore();
    const { writer } = await claimOn(store);
    store.failNext('write');
    await expect(writer.write([put])).rejects.toMatchObject({ code: 'store.unreachable' });
    expect(store.snapshot().size).toBe(0);
    store.failNext('write', 'after');
    await expect(writer.write([put])).rejects.toMatchObject({ code: 'store.unreachable' });
    expect(store.snapshot().size).toBe(1);
    expect(await writer.write([put])).toMatchObject([{ kind: 'already-written' }]);
  });

  it('strikes one page of a scan', async () => {
    const store = new MemoryStore();
    for (const name of ['a', 'b', 'c']) store.put(keyFromText(name), bytes(name));
    const everything = prefixRange(keyFromText(''));
    const view = await store.openView(everything);
    const seen: string[] = [];
    const scan = async () => {
      for await (const page of view.scan(everything, { pageKeysMax: 1 })) {
        seen.push(...page.records.map((record) => record.key));
        store.failNext('scan');
      }
    };
    await expect(scan()).rejects.toMatchObject({ code: 'store.unreachable' });
    expect(seen).toEqual(['a']);
  });
});

describe('a memory store that is closed', () => {
  it('answers nothing more', async () => {
    const store = new MemoryStore();
    await store.close();
    await expect(store.head()).rejects.toMatchObject({ code: 'internal.invariant' });
  });
});
