/**
 * The contract of ports/online-store.ts: one request is one step, its condition is met or nothing happens, and what was
 * there before is told with it.
 */
import { describe, expect, it } from 'vitest';
import {
  keyAfter,
  prefixRange,
  type Key,
  type KeyRange,
  type OnlineSource,
  type OnlineTarget,
  type OnlineTargetRequest,
  type SeenSwitch,
  type SwitchEpoch,
  type SwitchVersion,
  type Version,
  type Write,
} from '../../src/index.ts';
import { bytes, withFixture } from './harness.ts';

export interface OnlineFixture<S extends OnlineSource | OnlineTarget> {
  readonly store: S;
  readonly key: (name: string) => Key;
  /** So much time goes by. What it ended, a store may drop a little later. */
  readonly outlive: (ttlMs: number) => Promise<void>;
  /** false: nothing ends by itself there, and a put that is to is refused. Default true. */
  readonly expires?: boolean;
  close(): Promise<void>;
}

const ttlMs = 4000;
/** Long enough for a server on a busy machine. */
const patienceMs = 60_000;
const seenAt = (version: SwitchVersion | null): SeenSwitch => ({ epoch: 1 as SwitchEpoch, version });
const unseen = seenAt(null);
const put = (text: string, ttl: number | null = null): Write<Uint8Array> => ({
  kind: 'put',
  value: bytes(text),
  ttlMs: ttl,
});
const remove: Write<Uint8Array> = { kind: 'delete' };
const textOf = (value: Uint8Array): string => Buffer.from(value).toString('utf8');

/** Registers the suite: call it at the top level of a test file. @param open an empty store */
export function onlineSourceContract(kind: string, open: () => Promise<OnlineFixture<OnlineSource>>): void {
  describe(`${kind} as an online source`, () => {
    it('writes, reads and deletes, and tells what was there', () =>
      withFixture(open(), async ({ store, key }) => {
        const k = key('k');
        expect(await store.ask(k, { kind: 'read' })).toEqual({ kind: 'read', record: null });
        const first = await store.ask(k, { kind: 'write', write: put('one'), expect: 'any' });
        expect(first).toMatchObject({ kind: 'written', previous: null });
        const second = await store.ask(k, { kind: 'write', write: put('two'), expect: 'any' });
        const [v1, v2] = [versionOf(first), versionOf(second)];
        expect(v1).not.toBe(v2);
        expect(second).toMatchObject({ previous: { version: v1 } });
        const read = await store.ask(k, { kind: 'read' });
        expect(read).toMatchObject({ kind: 'read', record: { version: v2 } });
        expect(read.kind === 'read' && read.record && textOf(read.record.value)).toBe('two');
        const gone = await store.ask(k, { kind: 'write', write: remove, expect: 'any' });
        expect(gone).toMatchObject({ kind: 'written', version: null, previous: { version: v2 } });
        const again = await store.ask(k, { kind: 'write', write: remove, expect: 'any' });
        expect(again).toEqual({ kind: 'written', version: null, previous: null });
      }));

    it('writes at the version that is expected, and at no other', () =>
      withFixture(open(), async ({ store, key }) => {
        const k = key('k');
        const v1 = versionOf(await store.ask(k, { kind: 'write', write: put('one'), expect: 'absent' }));
        const taken = await store.ask(k, { kind: 'write', write: put('two'), expect: 'absent' });
        expect(taken).toMatchObject({ kind: 'unmet', record: { version: v1 } });
        const v2 = versionOf(await store.ask(k, { kind: 'write', write: put('two'), expect: { version: v1 } }));
        for (const write of [put('three'), remove]) {
          const late = await store.ask(k, { kind: 'write', write, expect: { version: v1 } });
          expect(late).toMatchObject({ kind: 'unmet', record: { version: v2 } });
        }
        await store.ask(k, { kind: 'write', write: remove, expect: { version: v2 } });
        const missing = await store.ask(k, { kind: 'write', write: put('four'), expect: { version: v2 } });
        expect(missing).toEqual({ kind: 'unmet', record: null });
      }));

    it('gives each of many writers at once an answer that has an order', () =>
      withFixture(open(), async ({ store, key }) => {
        const k = key('k');
        const ask = (text: string, expected: 'any' | 'absent') =>
          store.ask(k, { kind: 'write', write: put(text), expect: expected });
        const answers = await Promise.all(Array.from({ length: 8 }, (_, i) => ask(`by ${i}`, 'absent')));
        expect(answers.map((answer) => answer.kind).toSorted()).toEqual([...Array(7).fill('unmet'), 'written']);
        const all = await Promise.all(Array.from({ length: 8 }, (_, i) => ask(`again ${i}`, 'any')));
        const befores = all.map((answer) => answer.kind === 'written' && answer.previous?.version);
        expect(new Set(befores).size).toBe(all.length);
      }));

    it('lets a record end with its TTL, and a later put keep it; or refuses the TTL', () =>
      withFixture(open(), async ({ store, key, outlive, expires = true }) => {
        if (!expires) {
          const refused = store.ask(key('ends'), { kind: 'write', write: put('one', ttlMs), expect: 'any' });
          await expect(refused).rejects.toMatchObject({ code: 'store.unsupported' });
          expect(await store.ask(key('ends'), { kind: 'read' })).toEqual({ kind: 'read', record: null });
          return;
        }
        for (const name of ['ends', 'stays']) {
          await store.ask(key(name), { kind: 'write', write: put('one', ttlMs), expect: 'any' });
        }
        await store.ask(key('stays'), { kind: 'write', write: put('two'), expect: 'any' });
        await outlive(ttlMs);
        await expect
          .poll(() => store.ask(key('ends'), { kind: 'read' }), { timeout: patienceMs })
          .toEqual({ kind: 'read', record: null });
        expect(await store.ask(key('stays'), { kind: 'read' })).toMatchObject({ record: expect.anything() });
      }));

    it('lists a range in order, and no key beyond it', () =>
      withFixture(open(), async ({ store, key }) => {
        for (const name of ['b/2', 'a', 'b-1', 'b/10', 'c']) {
          await store.ask(key(name), { kind: 'write', write: put(name), expect: 'any' });
        }
        const values = async (range: KeyRange) => (await listed(store.list(range))).map(({ value }) => textOf(value));
        expect(await values(prefixRange(key('')))).toEqual(['a', 'b-1', 'b/10', 'b/2', 'c']);
        expect(await values(prefixRange(key('b/')))).toEqual(['b/10', 'b/2']);
        expect(await values({ start: key('b-1'), end: keyAfter(key('b/10')) })).toEqual(['b-1', 'b/10']);
        expect(await values(prefixRange(key('nothing/')))).toEqual([]);
      }));
  });
}

export interface OnlineTargetFixture extends OnlineFixture<OnlineTarget> {
  /** What backfill does. */
  readonly copy: (key: Key, text: string, from: Version) => Promise<void>;
  /** Moves the switch that the target holds. @returns the version of its record now */
  readonly moveSwitch: () => Promise<SwitchVersion>;
}

type TargetWrite = Extract<OnlineTargetRequest, { kind: 'write' }>;

/**
 * Registers the suite: call it at the top level of a test file.
 * @param open an empty store that holds its switch (`true`) or does not
 */
export function onlineTargetContract(kind: string, open: (holdsSwitch: boolean) => Promise<OnlineTargetFixture>): void {
  const write = (change: Write<Uint8Array>, rest: Partial<TargetWrite> = {}): TargetWrite => ({
    kind: 'write',
    write: change,
    expect: 'any',
    tombstone: 'leave',
    ...rest,
  });

  describe(`${kind} as an online target`, () => {
    it('changes key and tombstone at once, and tells both as they were', () =>
      withFixture(open(false), async ({ store, key }) => {
        const k = key('k');
        const pair = async () => {
          const read = await store.ask(k, { kind: 'read' }, unseen);
          return (
            read.kind === 'read' && {
              value: read.pair.record && textOf(read.pair.record.value),
              tombstone: read.pair.tombstone,
            }
          );
        };
        expect(await pair()).toEqual({ value: null, tombstone: false });
        const first = await store.ask(k, write(put('one'), { tombstone: 'clear' }), unseen);
        expect(first).toMatchObject({ kind: 'written', previous: { record: null, tombstone: false } });
        expect(await pair()).toEqual({ value: 'one', tombstone: false });
        const gone = await store.ask(k, write(remove, { tombstone: 'write' }), unseen);
        expect(gone).toMatchObject({
          version: null,
          previous: { record: { version: versionOf(first) }, tombstone: false },
        });
        expect(await pair()).toEqual({ value: null, tombstone: true });
        const second = await store.ask(k, write(put('two')), unseen);
        expect(second).toMatchObject({ kind: 'written', previous: { record: null, tombstone: true } });
        expect(await pair()).toEqual({ value: 'two', tombstone: true });
        await store.ask(k, write(put('three'), { tombstone: 'clear' }), unseen);
        expect(await pair()).toEqual({ value: 'three', tombstone: false });
      }));

    it('writes where its expectation is met, and changes nothing elsewhere', () =>
      withFixture(open(false), async ({ store, key }) => {
        const [fresh, deleted, there] = ['fresh', 'deleted', 'there'].map(key) as [Key, Key, Key];
        await store.ask(deleted, write(remove, { tombstone: 'write' }), unseen);
        const v1 = versionOf(await store.ask(there, write(put('one')), unseen));
        const kinds = async (expected: TargetWrite['expect']) => {
          const outcomes: string[] = [];
          for (const k of [fresh, deleted, there]) {
            outcomes.push((await store.ask(k, write(remove, { expect: expected }), unseen)).kind);
          }
          return outcomes;
        };
        expect(await kinds('fresh')).toEqual(['written', 'unmet', 'unmet']);
        expect(await kinds('absent')).toEqual(['written', 'written', 'unmet']);
        expect(await kinds({ version: '999999' as Version })).toEqual(['unmet', 'unmet', 'unmet']);
        const unmet = await store.ask(there, write(put('two'), { expect: 'fresh', tombstone: 'write' }), unseen);
        expect(unmet).toMatchObject({ kind: 'unmet', pair: { record: { version: v1 }, tombstone: false } });
        expect(await kinds({ version: v1 })).toEqual(['unmet', 'unmet', 'written']);
      }));

    it('knows a copy until somebody writes it', () =>
      withFixture(open(false), async ({ store, key, copy }) => {
        const k = key('k');
        await copy(k, 'one', '42' as Version);
        const read = async () => store.ask(k, { kind: 'read' }, unseen);
        expect(await read()).toMatchObject({ pair: { record: { copiedFrom: '42' } } });
        const v2 = versionOf(await store.ask(k, write(put('two')), unseen));
        expect(await read()).toMatchObject({ pair: { record: { version: v2, copiedFrom: null } } });
        await store.ask(k, write(remove, { tombstone: 'write' }), unseen);
        await store.ask(k, write(put('three'), { tombstone: 'clear' }), unseen);
        expect(await read()).toMatchObject({ pair: { record: { copiedFrom: null } } });
      }));

    it('knows a copy no longer once somebody put the very same value', () =>
      withFixture(open(false), async ({ store, key, copy }) => {
        const k = key('k');
        await copy(k, 'one', '42' as Version);
        await store.ask(k, write(put('one'), { tombstone: 'clear' }), unseen);
        expect(await store.ask(k, { kind: 'read' }, unseen)).toMatchObject({ pair: { record: { copiedFrom: null } } });
      }));

    it('gives each of many writers at once an answer that has an order', () =>
      withFixture(open(false), async ({ store, key }) => {
        const k = key('k');
        const answers = await Promise.all(
          Array.from({ length: 8 }, (_, i) => store.ask(k, write(put(`by ${i}`), { expect: 'fresh' }), unseen)),
        );
        expect(answers.map((answer) => answer.kind).toSorted()).toEqual([...Array(7).fill('unmet'), 'written']);
        const all = await Promise.all(
          Array.from({ length: 8 }, (_, i) => store.ask(k, write(put(`again ${i}`)), unseen)),
        );
        const befores = all.map((answer) => answer.kind === 'written' && answer.previous.record?.version);
        expect(new Set(befores).size).toBe(all.length);
      }));

    it('lets a record end with its TTL, and keeps its tombstone; or refuses the TTL', () =>
      withFixture(open(false), async ({ store, key, outlive, expires = true }) => {
        if (!expires) {
          const refused = store.ask(key('k'), write(put('one', ttlMs), { tombstone: 'write' }), unseen);
          await expect(refused).rejects.toMatchObject({ code: 'store.unsupported' });
          const pair = { record: null, tombstone: false };
          expect(await store.ask(key('k'), { kind: 'read' }, unseen)).toEqual({ kind: 'read', pair });
          return;
        }
        await store.ask(key('k'), write(put('one', ttlMs), { tombstone: 'write' }), unseen);
        expect(await store.ask(key('k'), { kind: 'read' }, unseen)).toMatchObject({
          pair: { tombstone: true, record: expect.anything() },
        });
        await outlive(ttlMs);
        await expect
          .poll(() => store.ask(key('k'), { kind: 'read' }, unseen), { timeout: patienceMs })
          .toEqual({ kind: 'read', pair: { record: null, tombstone: true } });
      }));

    it('lists records and tombstones of a range in order', () =>
      withFixture(open(false), async ({ store, key, copy }) => {
        await copy(key('b/1'), 'copied', '7' as Version);
        for (const name of ['a', 'b/2', 'b/3', 'b-', 'c']) await store.ask(key(name), write(put(name)), unseen);
        await store.ask(key('b/2'), write(remove, { tombstone: 'write' }), unseen);
        await store.ask(key('b/0'), write(remove, { tombstone: 'write' }), unseen);
        await store.ask(key('b/3'), write(put('both'), { tombstone: 'write' }), unseen);
        const entries = await listed(store.list(prefixRange(key('b/'))));
        expect(entries.map((entry) => entry.key)).toEqual(['b/0', 'b/1', 'b/2', 'b/3'].map(key));
        expect(entries.map(({ record }) => record && textOf(record.value))).toEqual([null, 'copied', null, 'both']);
        expect(entries.map(({ record }) => record?.copiedFrom)).toEqual([undefined, '7', undefined, null]);
      }));

    it('that holds its switch writes in the epoch that was seen, and in no other', () =>
      withFixture(open(true), async ({ store, key, moveSwitch }) => {
        const k = key('k');
        expect(store.comparesSwitch).toBe(true);
        expect((await store.ask(k, write(put('zero')), unseen)).kind).toBe('written');
        const v1 = seenAt(await moveSwitch());
        for (const seen of [unseen, seenAt('999999' as SwitchVersion)]) {
          expect(await store.ask(k, write(put('late')), seen)).toEqual({ kind: 'epoch-moved' });
        }
        expect((await store.ask(k, write(put('one')), v1)).kind).toBe('written');
        const v2 = seenAt(await moveSwitch());
        // Too old, whatever else is true of it.
        expect(await store.ask(k, write(put('late'), { expect: 'fresh' }), v1)).toEqual({ kind: 'epoch-moved' });
        expect((await store.ask(k, write(put('two'), { expect: 'fresh' }), v2)).kind).toBe('unmet');
        const read = await store.ask(k, { kind: 'read' }, v1);
        expect(read.kind === 'read' && read.pair.record && textOf(read.pair.record.value)).toBe('one');
      }));
  });
}

function versionOf(answer: { readonly kind: string; readonly version?: Version | null }): Version {
  expect(answer).toMatchObject({ kind: 'written', version: expect.any(String) });
  return answer.version as Version;
}

async function listed<T>(pages: AsyncIterable<readonly T[]>): Promise<readonly T[]> {
  const all: T[] = [];
  for await (const page of pages) all.push(...page);
  return all;
}
