/**
 * What happens to the records of an online target, for watchers: three watches, put together revision by revision.
 *
 *     records       put k                delete k
 *     tombstones               put k     put k
 *     origins       put k
 *                   a copy     a delete  a delete         all of a transaction have its revision
 *                              of what was never copied
 *
 * Three ranges and not one watch of everything, which would tell each instance of all that others keep in the cluster. A
 * revision is told once all three have come as far; the two that nothing happened to say how far they are when asked.
 */
import {
  originFromText,
  type FeedReadOptions,
  type Key,
  type KeyRange,
  type MoveStep,
  type OnlineTargetRecord,
  type OpenMoves,
  type Position,
  type TargetMove,
  type TargetMoves,
  type Version,
} from '@keyferry/core';
import type { EtcdClient } from './client.ts';
import { keyFromBuffer, rangeBelow } from './codec.ts';
import type { ControlKeys } from './control.ts';
import type { WatchEvent } from './wire/watch.ts';
import type { Revision } from './watch/watch-stream.ts';
import { EtcdWatcher } from './watch/watcher.ts';

type Move = TargetMove<OnlineTargetRecord>;

export class EtcdV3Moves implements TargetMoves {
  readonly kind = 'log';
  private readonly client: EtcdClient;
  private readonly keys: ControlKeys;

  constructor(client: EtcdClient, keys: ControlKeys) {
    this.client = client;
    this.keys = keys;
  }

  hasReached(position: Position, mark: Position): boolean {
    return BigInt(position) >= BigInt(mark);
  }

  async open(range: KeyRange, after: Position | null): Promise<OpenMoves<Move>> {
    return new OpenEtcdV3Moves(this.client, this.keys, range, after ?? (await this.client.head()).revision);
  }
}

/** One of the three, and what it has told that the others have not come up to. */
interface Lane {
  readonly watcher: EtcdWatcher;
  readonly ahead: Revision[];
  through: bigint;
}

class OpenEtcdV3Moves implements OpenMoves<Move> {
  private readonly keys: ControlKeys;
  private readonly records: Lane;
  private readonly tombs: Lane;
  private readonly origins: Lane;
  private readonly lanes: readonly Lane[];

  constructor(client: EtcdClient, keys: ControlKeys, range: KeyRange, after: string) {
    const lane = (within: KeyRange): Lane => ({
      watcher: new EtcdWatcher(client, { range: within, after }),
      ahead: [],
      through: BigInt(after),
    });
    this.keys = keys;
    this.records = lane(range);
    this.tombs = lane(rangeBelow(keys.tombPrefix, range));
    this.origins = lane(rangeBelow(keys.originPrefix, range));
    this.lanes = [this.records, this.tombs, this.origins];
  }

  async read({ changesMax, waitMs, signal }: FeedReadOptions): Promise<MoveStep<Move>> {
    if (this.lanes.every(({ ahead }) => ahead.length === 0)) {
      const first = new AbortController();
      const interrupt = (): void => first.abort();
      signal?.addEventListener('abort', interrupt);
      try {
        if (signal?.aborted === true) interrupt();
        const lost = await this.advance(this.lanes, { changesMax, waitMs, signal: first.signal }, interrupt);
        if (lost !== null) return lost;
      } finally {
        signal?.removeEventListener('abort', interrupt);
      }
    }
    // What one has told, the others may have to be asked for.
    const furthest = this.furthest();
    const behind = this.lanes.filter(({ through }) => through < furthest);
    const lost = await this.advance(behind, { changesMax, waitMs: 0 });
    return lost ?? { kind: 'moves', ...this.take() };
  }

  async close(): Promise<void> {
    for (const { watcher } of this.lanes) watcher.close();
  }

  /** All of them are read to their end, also when one fails: what the others told is not told again. */
  private async advance(
    lanes: readonly Lane[],
    options: FeedReadOptions,
    onFirst: () => void = () => undefined,
  ): Promise<Extract<MoveStep<Move>, { kind: 'lost' }> | null> {
    const { changesMax: eventsMax, ...waiting } = options;
    const read = async (lane: Lane) => {
      try {
        const step = await lane.watcher.read({ eventsMax, ...waiting });
        if (step.kind === 'lost') return step;
        lane.ahead.push(...step.revisions);
        lane.through = BigInt(step.through);
        if (step.revisions.length > 0) onFirst();
        return null;
      } catch (error) {
        onFirst();
        throw error;
      }
    };
    const outcomes = await Promise.allSettled(lanes.map(read));
    for (const outcome of outcomes) {
      if (outcome.status === 'rejected') throw outcome.reason;
      if (outcome.value !== null) return outcome.value;
    }
    return null;
  }

  /** The last revision that one of them has told of; the least that one has come to where none has. */
  private furthest(): bigint {
    const told = this.lanes.flatMap(({ ahead }) => ahead.at(-1)?.revision ?? []).map(BigInt);
    return told.reduce((a, b) => (a > b ? a : b), 0n);
  }

  private take(): { readonly moves: readonly Move[]; readonly position: Position } {
    const through = this.lanes.map((lane) => lane.through).reduce((a, b) => (a < b ? a : b));
    const byRevision = new Map<bigint, Map<Lane, readonly WatchEvent[]>>();
    for (const lane of this.lanes) {
      while (lane.ahead[0] !== undefined && BigInt(lane.ahead[0].revision) <= through) {
        const { revision, events } = lane.ahead.shift() as Revision;
        const told = byRevision.get(BigInt(revision)) ?? new Map<Lane, readonly WatchEvent[]>();
        byRevision.set(BigInt(revision), told.set(lane, events));
      }
    }
    const inOrder = [...byRevision].toSorted(([a], [b]) => (a < b ? -1 : 1));
    const moves = inOrder.flatMap(([, told]) => this.movesOf(told));
    return { moves, position: String(through) as Position };
  }

  private movesOf(told: ReadonlyMap<Lane, readonly WatchEvent[]>): readonly Move[] {
    const { keys } = this;
    const below = (lane: Lane, prefix: Key): ReadonlyMap<Key, WatchEvent> =>
      new Map((told.get(lane) ?? []).map((event) => [keyFromBuffer(event.kv.key).slice(prefix.length) as Key, event]));
    const records = below(this.records, '' as Key);
    const tombs = below(this.tombs, keys.tombPrefix);
    const origins = below(this.origins, keys.originPrefix);
    const moves: Move[] = [];
    for (const key of new Set([...records.keys(), ...tombs.keys()])) {
      if (key.startsWith(keys.reservedPrefix)) continue;
      const [record, tomb] = [records.get(key), tombs.get(key)];
      const entombed = tomb !== undefined && !tomb.isDelete && tomb.kv.create_revision === tomb.kv.mod_revision;
      if (record !== undefined || entombed)
        moves.push({ key, change: changeOf(key, record, origins.get(key)), entombed });
    }
    return moves;
  }
}

function changeOf(key: Key, event: WatchEvent | undefined, origin: WatchEvent | undefined): Move['change'] {
  if (event === undefined) return null;
  if (event.isDelete) return { kind: 'delete' };
  const { value, mod_revision } = event.kv;
  const copiedFrom = origin === undefined || origin.isDelete ? null : originFromText(origin.kv.value.toString('utf8'));
  return { kind: 'put', record: { key, value, version: mod_revision as Version, copiedFrom } };
}
