/**
 * The contract of ports/change-feed.ts for reading: a feed tells every change of its range in order, once, from any position
 * that it ever named; it reaches every head; a position that it lost is told and never passed over. Whatever its
 * capabilities claim is tested.
 */
import { describe, expect, it } from 'vitest';
import {
  prefixRange,
  rangeHolds,
  type ChangeFeed,
  type KeyRange,
  type MigrationId,
  type OpenFeed,
  type Position,
  type ReadableStore,
  type SourceChange,
  type TargetStore,
} from '../../src/index.ts';
import {
  rangeOf,
  readAll,
  seedOf,
  withFixture,
  type Change,
  type ReadableHarness,
  type SeedRecord,
  type StoreFixture,
} from './harness.ts';

export interface FeedFixture extends StoreFixture<ReadableStore> {
  readonly change: (changes: readonly Change[]) => Promise<void>;
  /** Deletes every key of a range as one change of the store. Absent: its feed has no such change. */
  readonly deleteRange?: (range: KeyRange) => Promise<void>;
  /** Makes the store drop what its feed held up to now, perhaps with changes outside of the range of the keys. Absent: it cannot be made to. */
  readonly loseHistory?: () => Promise<void>;
  /** Puts several records in one transaction. Absent: the store has none. */
  readonly putAtOnce?: (records: readonly SeedRecord[]) => Promise<void>;
}

export interface FeedHarness extends Omit<ReadableHarness, 'open'> {
  readonly open: (records: readonly SeedRecord[]) => Promise<FeedFixture>;
}

/** Registers the suite: call it at the top level of a test file. */
export function feedContract(suite: string, harness: FeedHarness): void {
  const everything = rangeOf(harness);
  const { key } = harness;
  const put = (name: string, value = name): Change => ({ put: seedOf(harness, name, value) });
  const gone = (name: string): Change => ({ delete: key(name) });

  describe(`${suite} as a feed`, () => {
    it('tells puts and deletes in order, each once, with values', () =>
      withFeed(harness, ['old'], async ({ feed, change }) => {
        const before = await feed.head();
        await change([put('a', '1'), put('b', '2'), put('a', '3'), gone('old'), put('old', '4'), gone('b')]);
        const { changes } = await readToHead(feed, everything, before);
        expect(inShort(harness, changes, feed)).toEqual(
          feed.capabilities.kind === 'log'
            ? ['a=1', 'b=2', 'a=3', 'old gone', 'old=4', 'b gone']
            : expect.arrayContaining(['a=3', 'old=4']),
        );
      }));

    it('says nothing of what was before the position, and nothing of other ranges, and reaches the head all the same', () =>
      withFeed(harness, ['in/a'], async ({ feed, change }) => {
        await change([put('in/b')]);
        const before = await feed.head();
        await change([put('out/a')]);
        const range = prefixRange(key('in/'));
        const quiet = await readToHead(feed, range, before);
        expect(quiet.changes).toEqual([]);
        await change([put('out/b'), put('in/c')]);
        const more = await readToHead(feed, range, quiet.position);
        expect(inShort(harness, more.changes, feed)).toEqual(['in/c=in/c']);
      }));

    it('goes on from every position that it named, and misses and repeats nothing', () =>
      withFeed(harness, [], async ({ feed, change }) => {
        const before = await feed.head();
        const names = Array.from({ length: 12 }, (_, i) => `k${String(i).padStart(2, '0')}`);
        await change(names.map((each) => put(each)));
        const mark = await feed.head();
        const told: SourceChange[] = [];
        let position = before;
        while (!feed.hasReached(position, mark)) {
          // A connection of its own for each step, as a function has.
          const step = await withOpen(feed, everything, position, (open) => open.read({ changesMax: 1, waitMs: 1000 }));
          if (step.kind === 'lost') throw new Error(step.why);
          told.push(...step.changes);
          position = step.position;
        }
        if (feed.capabilities.kind === 'log') {
          expect(inShort(harness, told, feed)).toEqual(names.map((each) => `${each}=${each}`));
        }
        expect(feed.changesBetween(position, mark) ?? 0).toBe(0);
      }));

    it('says how far a position is from another, and which of two is reached', () =>
      withFeed(harness, [], async ({ feed, change }) => {
        const first = await feed.head();
        await change([put('a'), put('b'), put('c')]);
        const second = await feed.head();
        expect(feed.hasReached(second, first)).toBe(true);
        expect(feed.hasReached(second, second)).toBe(true);
        expect(feed.hasReached(first, second)).toBe(false);
        expect(feed.changesBetween(second, second) ?? 0).toBe(0);
        expect(feed.changesBetween(first, second) ?? 3).toBeGreaterThanOrEqual(1);
      }));

    it('answers an empty step when nothing comes, and goes on when something does', () =>
      withFeed(harness, [], async ({ feed, change }) => {
        await withOpen(feed, everything, await feed.head(), async (open) => {
          const nothing = await open.read({ changesMax: 100, waitMs: 0 });
          expect(nothing).toMatchObject({ kind: 'changes', changes: [] });
          await change([put('a')]);
          const { changes } = await readOn(feed, open, await feed.head(), positionOf(nothing));
          expect(inShort(harness, changes, feed)).toEqual(['a=a']);
        });
      }));

    it('names the version that a scan finds, and the end of a record that has one', () =>
      withFeed(harness, [], async ({ store, feed, change }) => {
        const before = await feed.head();
        const mortal = { ...seedOf(harness, 'mortal'), ttlMs: 600_000 };
        await change([put('a'), ...(store.capabilities.expiry ? [{ put: mortal }] : [])]);
        const { changes } = await readToHead(feed, everything, before);
        for (const record of await readAll(store, everything)) {
          const told = changes.find((each) => each.kind === 'put' && each.key === record.key);
          if (told?.kind !== 'put') throw new Error(`nothing was told of ${record.key}`);
          expect(told.version).toBe(record.version);
          expect(told.expiresAtMs === null).toBe(record.expiresAtMs === null);
        }
      }));

    it("never tells keyferry's own keys", ({ skip }) =>
      withFeed(harness, [], async (fixture) => {
        const { store, feed } = fixture;
        if (!isTarget(store)) return skip('the store is no target');
        const before = await feed.head();
        const raised = await store.control('contract' as MigrationId).raiseEpoch({ attempt: 1, token: 1 });
        expect(raised).toEqual({ kind: 'raised' });
        await fixture.change([put('a')]);
        const all = { start: '' as KeyRange['start'], end: null };
        const { changes } = await readToHead(feed, all, before);
        expect(inShort(harness, changes, feed)).toEqual(['a=a']);
      }));

    it('ends an expired record with a delete', ({ skip }) =>
      withFeed(harness, [], async ({ store, feed, change, passTime }) => {
        if (passTime === undefined || !store.capabilities.expiry) return skip('the clock is a real one');
        const before = await feed.head();
        await change([{ put: { ...seedOf(harness, 'mortal'), ttlMs: 1000 } }]);
        await passTime(2000);
        const { changes } = await readToHead(feed, everything, before);
        expect(inShort(harness, changes, feed)).toEqual(['mortal=mortal', 'mortal gone']);
      }));

    it('never ends a step within a transaction', ({ skip }) =>
      withFeed(harness, [], async ({ feed, change, putAtOnce }) => {
        if (putAtOnce === undefined) return skip('the store has no transactions');
        const before = await feed.head();
        const names = ['a', 'b', 'c', 'd'];
        await putAtOnce(names.map((each) => seedOf(harness, each)));
        await change([put('later')]);
        await withOpen(feed, everything, before, async (open) => {
          let step = await open.read({ changesMax: 1, waitMs: 1000 });
          while (step.kind === 'changes' && step.changes.length === 0) {
            step = await open.read({ changesMax: 1, waitMs: 1000 });
          }
          const told = step.kind === 'changes' ? inShort(harness, step.changes, feed) : [];
          expect(told.slice(0, 4).toSorted()).toEqual(names.map((each) => `${each}=${each}`));
        });
      }));

    it('tells the deletion of a range where it claims to, in its place among the others', ({ skip }) =>
      withFeed(harness, ['dir/a', 'dir/b', 'other'], async ({ feed, change, deleteRange }) => {
        if (deleteRange === undefined) return skip('a change of this store is one of a key');
        expect(feed.capabilities.rangeDeletes).toBe(true);
        const before = await feed.head();
        await change([put('dir/c')]);
        const range = prefixRange(key('dir/'));
        await deleteRange(range);
        await change([put('dir/d')]);
        const { changes } = await readToHead(feed, everything, before);
        expect(changes.map(({ kind }) => kind)).toEqual(['put', 'delete-range', 'put']);
        const [, middle] = changes;
        for (const each of ['dir/a', 'dir/b', 'dir/c']) {
          expect(middle?.kind === 'delete-range' && rangeHolds(middle.range, key(each))).toBe(true);
        }
        expect(middle?.kind === 'delete-range' && rangeHolds(middle.range, key('other'))).toBe(false);
      }));

    it('tells that a position was lost, and why, and is good from the head on', ({ skip }) =>
      withFeed(harness, [], async ({ feed, change, loseHistory }) => {
        if (loseHistory === undefined) return skip('the store keeps its history');
        const before = await feed.head();
        await change([put('a')]);
        await loseHistory();
        const step = await withOpen(feed, everything, before, (open) => open.read({ changesMax: 100, waitMs: 1000 }));
        expect(step).toMatchObject({ kind: 'lost', why: expect.stringMatching(/\w/) });
        const anew = await feed.head();
        await change([put('b')]);
        const { changes } = await readToHead(feed, everything, anew);
        expect(inShort(harness, changes, feed)).toEqual(['b=b']);
      }));
  });
}

const isTarget = (store: ReadableStore): store is TargetStore => 'control' in store;

type Ready = FeedFixture & { readonly feed: ChangeFeed };

async function withFeed(
  harness: FeedHarness,
  names: readonly string[],
  body: (fixture: Ready) => Promise<void>,
): Promise<void> {
  await withFixture(harness.open(names.map((each) => seedOf(harness, each))), async (fixture) => {
    const { feed } = fixture.store;
    if (feed === undefined) throw new Error('the store has no feed');
    await body({ ...fixture, feed });
  });
}

async function withOpen<T>(
  feed: ChangeFeed,
  range: KeyRange,
  after: Position,
  body: (open: OpenFeed) => Promise<T>,
): Promise<T> {
  const open = await feed.open(range, after);
  try {
    return await body(open);
  } finally {
    await open.close();
  }
}

function positionOf(step: Awaited<ReturnType<OpenFeed['read']>>): Position {
  if (step.kind === 'lost') throw new Error(step.why);
  return step.position;
}

/** Everything from a position up to the head as it is now. */
async function readToHead(feed: ChangeFeed, range: KeyRange, after: Position) {
  const mark = await feed.head();
  return withOpen(feed, range, after, (open) => readOn(feed, open, mark, after));
}

async function readOn(feed: ChangeFeed, open: OpenFeed, mark: Position, from: Position) {
  const changes: SourceChange[] = [];
  let position = from;
  while (!feed.hasReached(position, mark)) {
    const step = await open.read({ changesMax: 100, waitMs: 1000 });
    position = positionOf(step);
    if (step.kind === 'changes') changes.push(...step.changes);
  }
  return { changes, position };
}

/** `name=value`, `name gone`. */
function inShort(harness: Pick<FeedHarness, 'key'>, changes: readonly SourceChange[], feed: ChangeFeed): string[] {
  const { start } = rangeOf(harness);
  const nameOf = (key: string): string => key.slice(start.length);
  return changes.flatMap((change) => {
    if (change.kind === 'put') return [`${nameOf(change.key)}=${new TextDecoder().decode(change.value)}`];
    if (change.kind === 'delete') return [`${nameOf(change.key)} gone`];
    expect(feed.capabilities.rangeDeletes).toBe(true);
    return [`${nameOf(change.range.start)}… gone`];
  });
}
