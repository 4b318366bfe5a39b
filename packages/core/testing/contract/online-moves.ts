/**
 * The contract of moves (ports/online-store.ts): what happens to records is told once, in order, from where it was asked
 * for, and a target says of each change what tells an application's from backfill's.
 */
import { describe, expect, it } from 'vitest';
import {
  keyAfter,
  prefixRange,
  type Key,
  type Moves,
  type OnlineSource,
  type OnlineTargetRequest,
  type OpenMoves,
  type Position,
  type SeenSwitch,
  type SourceMove,
  type SwitchEpoch,
  type TargetMove,
  type OnlineTargetRecord,
  type Version,
  type Write,
} from '../../src/index.ts';
import { bytes, withFixture } from './harness.ts';
import type { OnlineFixture, OnlineTargetFixture } from './online.ts';

const ttlMs = 1000;
/** Reads of half a second each: long enough for a server on a busy machine. */
const readsMax = 240;
const unseen: SeenSwitch = { epoch: 1 as SwitchEpoch, version: null };
const put = (text: string, ttl: number | null = null): Write<Uint8Array> => ({
  kind: 'put',
  value: bytes(text),
  ttlMs: ttl,
});
const remove: Write<Uint8Array> = { kind: 'delete' };

/** Reads up to a move of the key `last`, and that one. */
async function movesTo<M extends { readonly key: Key }>(
  open: OpenMoves<M>,
  last: Key,
): Promise<{ readonly moves: readonly M[]; readonly position: Position }> {
  const moves: M[] = [];
  for (let reads = 0; reads < readsMax; reads += 1) {
    const step = await open.read({ changesMax: 3, waitMs: 500 });
    if (step.kind === 'lost') throw new RangeError(`moves were lost: ${step.why}`);
    moves.push(...step.moves);
    if (step.moves.some(({ key }) => key === last)) return { moves, position: step.position };
    // A store in memory does not wait by itself.
    if (step.moves.length === 0) await new Promise(setImmediate);
  }
  throw new RangeError(`the change of ${last} was never told; told were ${moves.map(({ key }) => key).join(' ')}`);
}

function movesOf<M>({ moves }: { readonly moves?: Moves<M> }): Moves<M> {
  expect(moves).toBeDefined();
  return moves as Moves<M>;
}

const textOf = (value: Uint8Array): string => Buffer.from(value).toString('utf8');

/**
 * Registers the suite: call it at the top level of a test file.
 * @param open an empty store
 * @param expires false: nothing ends there by itself
 */
export function sourceMovesContract(
  kind: string,
  open: () => Promise<OnlineFixture<OnlineSource>>,
  expires = true,
): void {
  const told = ({ key, change }: SourceMove): string =>
    `${key.split('/').at(-1)} ${change.kind === 'put' ? textOf(change.record.value) : 'gone'}`;

  describe(`${kind} as a source that tells its moves`, () => {
    it('tells what came after it was opened, in order, each at a position of its own', () =>
      withFixture(open(), async ({ store, key }) => {
        const ask = (name: string, write: Write<Uint8Array>) =>
          store.ask(key(name), { kind: 'write', write, expect: 'any' });
        await ask('in/before', put('0'));
        const moves = movesOf(store);
        const watch = await moves.open(prefixRange(key('in/')), null);
        const versions: (Version | null)[] = [];
        for (const [name, write] of [
          ['in/a', put('1')],
          ['out/x', put('2')],
          ['in/a', put('3')],
          ['in/before', remove],
          ['in/none', remove],
          ['in/end', put('4')],
        ] as const) {
          const answer = await ask(name, write);
          if (answer.kind === 'written' && write.kind === 'put') versions.push(answer.version);
        }
        const { moves: found, position } = await movesTo(watch, key('in/end'));
        expect(found.map(told)).toEqual(['a 1', 'a 3', 'before gone', 'end 4']);
        const written = found.flatMap(({ change }) => (change.kind === 'put' ? [change.record.version] : []));
        expect(written).toEqual([versions[0], versions[2], versions[3]]);
        for (const [i, { at }] of found.entries()) {
          expect(moves.hasReached(position, at)).toBe(true);
          for (const later of found.slice(i + 1)) {
            expect([moves.hasReached(later.at, at), moves.hasReached(at, later.at)]).toEqual([true, false]);
          }
        }
        await watch.close();
        // Whoever goes on from a position is told what came after it.
        const second = await moves.open(prefixRange(key('in/')), found[1]?.at ?? null);
        expect((await movesTo(second, key('in/end'))).moves.map(told)).toEqual(['before gone', 'end 4']);
        await second.close();
      }));

    it.runIf(expires)('tells the end of a TTL as a delete', () =>
      withFixture(open(), async ({ store, key, outlive }) => {
        const watch = await movesOf(store).open(prefixRange(key('')), null);
        await store.ask(key('k'), { kind: 'write', write: put('1', ttlMs), expect: 'any' });
        await movesTo(watch, key('k'));
        await outlive(ttlMs);
        await store.ask(key('k'), { kind: 'read' }); // a store may look at its clock only when it is asked
        expect((await movesTo(watch, key('k'))).moves.map(told)).toEqual(['k gone']);
        await watch.close();
      }),
    );
  });
}

/**
 * Registers the suite: call it at the top level of a test file.
 * @param open an empty store; `true`: it holds its switch
 * @param tells what watchers are told: every change, or what differs from the last look; then nothing ends by itself either
 */
export function targetMovesContract(
  kind: string,
  open: (holdsSwitch: boolean) => Promise<OnlineTargetFixture>,
  tells: 'log' | 'state' = 'log',
): void {
  const told = ({ key, change, entombed }: TargetMove<OnlineTargetRecord>): string => {
    const record = change?.kind === 'put' ? change.record : null;
    const what = change === null ? 'untouched' : record === null ? 'gone' : textOf(record.value);
    const copy = record === null || record.copiedFrom === null ? '' : ` from ${record.copiedFrom}`;
    return `${key.split('/').at(-1)} ${what}${copy}${entombed ? ', entombed' : ''}`;
  };
  type Tombstone = Extract<OnlineTargetRequest, { kind: 'write' }>['tombstone'];

  describe(`${kind} as a target that tells its moves`, () => {
    it.runIf(tells === 'log')('tells puts, deletes, copies and tombstones of a range, each transaction once', () =>
      withFixture(open(false), async ({ store, key, copy }) => {
        const ask = (name: string, write: Write<Uint8Array>, tombstone: Tombstone) =>
          store.ask(key(name), { kind: 'write', write, expect: 'any', tombstone }, unseen);
        await ask('in/before', put('0'), 'clear');
        const moves = movesOf(store);
        const watch = await moves.open(prefixRange(key('in/')), null);
        await ask('in/a', put('1'), 'clear');
        await copy(key('in/copied'), '2', '42' as Version);
        await ask('out/x', put('3'), 'clear');
        await ask('in/before', remove, 'write');
        await ask('in/before', remove, 'write');
        await ask('in/never', remove, 'write');
        await ask('in/copied', put('4'), 'clear');
        await ask('in/before', put('5', 3_600_000), 'write');
        await ask('in/a', put('6', 3_600_000), 'write');
        await ask('in/end', put('7'), 'leave');
        const { moves: found } = await movesTo(watch, key('in/end'));
        expect(found.map(told)).toEqual([
          'a 1',
          'copied 2 from 42',
          'before gone, entombed',
          'never untouched, entombed',
          'copied 4',
          'before 5',
          'a 6, entombed',
          'end 7',
        ]);
        await watch.close();
      }),
    );

    it.runIf(tells === 'state')(
      'tells puts, deletes and tombstones of a range, and no copy, as they come and later',
      () =>
        withFixture(open(false), async ({ store, key, copy }) => {
          const ask = (name: string, write: Write<Uint8Array>, tombstone: Tombstone) =>
            store.ask(key(name), { kind: 'write', write, expect: 'any', tombstone }, unseen);
          await ask('in/before', put('0'), 'clear');
          await ask('in/stays', put('0'), 'clear');
          const moves = movesOf(store);
          expect(moves.kind).toBe('state');
          const range = prefixRange(key('in/'));
          const watch = await moves.open(range, null);
          await ask('in/a', put('1'), 'clear');
          const { moves: first, position } = await movesTo(watch, key('in/a'));
          expect(first.map(told)).toEqual(['a 1']);
          await copy(key('in/copied'), '2', '42' as Version);
          await copy(key('in/later'), '2', '43' as Version);
          await ask('out/x', put('3'), 'clear');
          await ask('in/before', remove, 'write');
          expect((await movesTo(watch, key('in/before'))).moves.map(told)).toEqual(['before gone, entombed']);
          // Deleted once more; and what was never copied, of which a tombstone alone tells.
          await ask('in/before', remove, 'write');
          await ask('in/never', remove, 'write');
          expect((await movesTo(watch, key('in/never'))).moves.map(told)).toEqual(['never untouched, entombed']);
          await ask('in/copied', put('4'), 'clear');
          await ask('in/later', remove, 'write');
          await ask('in/before', put('5'), 'clear');
          await ask('in/a', remove, 'leave');
          await ask('in/end', put('7'), 'leave');
          const later = (await movesTo(watch, key('in/end'))).moves.map(told);
          expect(later.toSorted()).toEqual(['a gone', 'before 5', 'copied 4', 'end 7', 'later gone, entombed']);
          await watch.close();
          // Whoever begins behind a position knows deletes by their tombstones alone.
          const again = await moves.open(range, position);
          const since = (await movesTo(again, key('in/end'))).moves.map(told);
          expect(since.toSorted()).toEqual([
            'before 5',
            'copied 4',
            'end 7',
            'later untouched, entombed',
            'never untouched, entombed',
          ]);
          await again.close();
        }),
    );

    it('goes on behind a position, whatever it had been told beyond it', () =>
      withFixture(open(false), async ({ store, key, copy }) => {
        const range = prefixRange(key(''));
        const moves = movesOf(store);
        const watch = await moves.open(range, null);
        const put1 = (name: string) =>
          store.ask(key(name), { kind: 'write', write: put(name), expect: 'any', tombstone: 'clear' }, unseen);
        await put1('a');
        const { position } = await movesTo(watch, key('a'));
        // Many at once, so that a step ends somewhere among them.
        await Promise.all(Array.from({ length: 20 }, (_, i) => put1(`b${i}`)));
        await copy(key('c'), 'c', '7' as Version);
        await put1('end');
        const first = (await movesTo(watch, key('end'))).moves.map(told);
        const wanted = tells === 'log' ? ['c c from 7', 'end end'] : ['end end'];
        expect(first.toSpliced(0, 20)).toEqual(wanted);
        expect(new Set(first).size).toBe(20 + wanted.length);
        await watch.close();
        const again = await moves.open(range, position);
        expect((await movesTo(again, key('end'))).moves.map(told)).toEqual(first);
        await again.close();
        expect(moves.hasReached(position, position)).toBe(true);
        const one = await moves.open({ start: key('b1'), end: keyAfter(key('b1')) }, position);
        expect((await movesTo(one, key('b1'))).moves.map(told)).toEqual(['b1 b1']);
        await one.close();
      }));

    it.runIf(tells === 'log')('tells the end of a TTL as a delete', () =>
      withFixture(open(false), async ({ store, key, outlive }) => {
        const watch = await movesOf(store).open(prefixRange(key('')), null);
        const write = { kind: 'write', write: put('1', ttlMs), expect: 'any', tombstone: 'write' } as const;
        await store.ask(key('k'), write, unseen);
        await movesTo(watch, key('k'));
        await outlive(ttlMs);
        await store.ask(key('k'), { kind: 'read' }, unseen);
        expect((await movesTo(watch, key('k'))).moves.map(told)).toEqual(['k gone']);
        await watch.close();
      }),
    );
  });
}
