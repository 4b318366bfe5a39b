/**
 * The changes of etcd v3 as a feed: a watch, whose positions are revisions. Every change is told, in order and with its
 * value, as long as nobody compacts what was not read yet.
 */
import {
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
import type { EtcdClient } from './client.ts';
import { keyFromBuffer } from './codec.ts';
import { LeaseExpiries } from './leases.ts';
import { noLease } from './view.ts';
import type { Revision } from './watch/watch-stream.ts';
import { EtcdWatcher } from './watch/watcher.ts';

export interface FeedContext {
  readonly client: EtcdClient;
  readonly nowMs: () => number;
  /** keyferry's own keys, which no feed tells. */
  readonly reserved: KeyRange;
}

export class EtcdV3Feed implements ChangeFeed {
  readonly capabilities: FeedCapabilities = {
    kind: 'log',
    rangeDeletes: false,
    // Compaction is the operators' choice (`--auto-compaction-retention`, off by default), and no server tells it.
    retention: { changesMax: null, ageMsMax: null },
  };
  private readonly context: FeedContext;

  constructor(context: FeedContext) {
    this.context = context;
  }

  async head(): Promise<Position> {
    return (await this.context.client.head()).revision as Position;
  }

  hasReached(position: Position, mark: Position): boolean {
    return BigInt(position) >= BigInt(mark);
  }

  /** A transaction of many keys is one revision, so it can be more. */
  changesBetween(position: Position, mark: Position): number {
    return Math.max(0, Number(BigInt(mark) - BigInt(position)));
  }

  async open(range: KeyRange, after: Position): Promise<OpenFeed> {
    const watcher = new EtcdWatcher(this.context.client, { range, after });
    return {
      read: async (options) => await this.read(watcher, options),
      close: async () => watcher.close(),
    };
  }

  private async read(watcher: EtcdWatcher, { changesMax, ...waiting }: FeedReadOptions): Promise<FeedStep> {
    const step = await watcher.read({ eventsMax: changesMax, ...waiting });
    if (step.kind === 'lost') return step;
    return { kind: 'changes', changes: await this.changesOf(step.revisions), position: step.through as Position };
  }

  private async changesOf(revisions: readonly Revision[]): Promise<readonly SourceChange[]> {
    const { client, nowMs, reserved } = this.context;
    const leases = new Set<string>();
    for (const { events } of revisions) for (const { kv } of events) if (kv.lease !== noLease) leases.add(kv.lease);
    // Asked anew for each step: leases are renewed.
    const expiries = leases.size === 0 ? null : await new LeaseExpiries(client, nowMs).read(leases);
    const changes: SourceChange[] = [];
    for (const { events } of revisions) {
      for (const { isDelete, kv } of events) {
        const key: Key = keyFromBuffer(kv.key);
        if (rangeHolds(reserved, key)) continue;
        const expiresAtMs = kv.lease === noLease ? null : (expiries?.get(kv.lease) ?? null);
        if (isDelete) changes.push({ kind: 'delete', key });
        else changes.push({ kind: 'put', key, value: kv.value, version: kv.mod_revision as Version, expiresAtMs });
      }
    }
    return changes;
  }
}
