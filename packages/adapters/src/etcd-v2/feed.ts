/**
 * The changes of etcd v2 as a feed: an index watch, whose positions are indexes of the whole store.
 *
 * The root is watched and what lies elsewhere left out, so that traffic elsewhere moves the position: of a watch on a quiet
 * prefix the store's 1,000 events are soon all others'. Who may not read the root gets the directory. Renewing a TTL with
 * `refresh` makes no event, so an expiry is as it was when the record was put.
 */
import {
  intersectRanges,
  isKeyferryError,
  prefixRange,
  rangeHolds,
  type ChangeFeed,
  type FeedCapabilities,
  type FeedReadOptions,
  type FeedStep,
  type Key,
  type KeyRange,
  type OpenFeed,
  type Position,
  type SourceChange,
  type Version,
} from '@keyferry/core';
import type { HttpClient } from '../http/client.ts';
import { directoryOf, type Directory } from './directory.ts';
import type { V2Event } from './watch/event.ts';
import { EtcdV2Watcher } from './watch/watcher.ts';

export interface V2FeedContext {
  readonly store: string;
  readonly client: HttpClient;
  /** Index of the store, read through raft. */
  readonly head: () => Promise<Position>;
}

export class EtcdV2Feed implements ChangeFeed {
  readonly capabilities: FeedCapabilities = {
    kind: 'log',
    rangeDeletes: true,
    // etcdserver/api/v2store/store.go: newWatchHub(1000).
    retention: { changesMax: 1000, ageMsMax: null },
  };
  private readonly context: V2FeedContext;

  constructor(context: V2FeedContext) {
    this.context = context;
  }

  head(): Promise<Position> {
    return this.context.head();
  }

  hasReached(position: Position, mark: Position): boolean {
    return Number(position) >= Number(mark);
  }

  changesBetween(position: Position, mark: Position): number {
    return Math.max(0, Number(mark) - Number(position));
  }

  async open(range: KeyRange, after: Position): Promise<OpenFeed> {
    const { store, client, head } = this.context;
    const within = directoryOf(range) ?? root;
    const watch = (directory: Directory): EtcdV2Watcher => {
      const number = async (): Promise<number> => Number(await head());
      return new EtcdV2Watcher({ store, client, directory, after: Number(after), head: number });
    };
    // No watch above a hidden directory tells of it.
    let isAtRoot = within !== root && !within.includes('/_');
    let watcher = watch(isAtRoot ? root : within);
    return {
      read: async (options) => {
        try {
          return await this.read(watcher, range, options);
        } catch (error) {
          if (!isAtRoot || !isKeyferryError(error, 'store.auth-failed')) throw error;
          watcher.close();
          isAtRoot = false;
          watcher = watch(within);
          return await this.read(watcher, range, options);
        }
      },
      close: async () => watcher.close(),
    };
  }

  private async read(
    watcher: EtcdV2Watcher,
    range: KeyRange,
    { changesMax, ...waiting }: FeedReadOptions,
  ): Promise<FeedStep> {
    const step = await watcher.read({ eventsMax: changesMax, ...waiting });
    if (step.kind === 'lost') return step;
    const directory = directoryOf(range) ?? root;
    const changes = step.events.flatMap((event) => changeOf(event, range, directory) ?? []);
    return { kind: 'changes', changes, position: String(step.through) as Position };
  }
}

const root = '' as Directory;

/** Null: it changed no record of the range. */
export function changeOf(
  { index, key, node, previous }: V2Event,
  range: KeyRange,
  within: Directory,
): SourceChange | null {
  if (node === null && previous?.isDirectory === true) {
    const gone = intersectRanges(prefixRange(`${key}/` as Key), range);
    // A hidden directory below the range: no scan showed what was in it.
    return gone === null || isHiddenBelow(within, key) ? null : { kind: 'delete-range', range: gone };
  }
  if (!rangeHolds(range, key) || isHiddenBelow(within, key)) return null;
  if (node === null) return { kind: 'delete', key };
  // A directory is no record, but may have taken the place of one.
  if (node.isDirectory) return previous !== null && !previous.isDirectory ? { kind: 'delete', key } : null;
  const { value, expiresAtMs } = node;
  const version = String(index) as Version;
  return { kind: 'put', key, value: Buffer.from(value, 'utf8'), version, expiresAtMs };
}

/** History tells hidden names that no live watch and no listing shows. */
function isHiddenBelow(within: Directory, key: Key): boolean {
  return key.startsWith(`${within}/`) && key.includes('/_', within.length);
}
