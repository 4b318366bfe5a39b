/**
 * etcd v3 as a source and as a target.
 *
 * @example
 * const store = openEtcdV3Store({ name: 'new', endpoints: ['https://10.0.0.5:2379'], tls: { ca }, nowMs: Date.now });
 * for await (const page of (await store.openView({ start: '' as Key, end: null })).scan(range, { pageKeysMax: 1000 })) …
 */
import {
  invariant,
  keyFromText,
  prefixRange,
  type ChangeFeed,
  type Key,
  type KeyRange,
  type MemberPosition,
  type MigrationId,
  type Position,
  type SourceStore,
  type StoreBackup,
  type StoredRecord,
  type StoreDescription,
  type StoreView,
  type TailControl,
  type TargetCapabilities,
  type TargetControl,
  type TargetStore,
} from '@keyferry/core';
import { snapshotBackup } from './backup.ts';
import { BatchLimits } from './batch.ts';
import { defaultLeaseBucketMs, defaultReservedPrefix, etcdV3Capabilities } from './capabilities.ts';
import { EtcdClient, type EtcdV3Auth, type EtcdV3Tls } from './client.ts';
import type { WriterContext } from './chunk-writer.ts';
import { rangeToWire, rangeWithout } from './codec.ts';
import { ControlKeys } from './control.ts';
import { EtcdV3Feed } from './feed.ts';
import { LeasePool } from './leases.ts';
import { lookUp } from './look-up.ts';
import { describe, readMembers } from './members.ts';
import { EtcdTailControl } from './tail.ts';
import { EtcdTargetControl } from './target.ts';
import { openView } from './view.ts';

export type { EtcdV3Auth, EtcdV3Tls } from './client.ts';
export { openEtcdV3OnlineTarget, type EtcdV3OnlineOptions } from './online-target.ts';
export {
  openEtcdV3PlainSwitch,
  openEtcdV3PrimarySwitch,
  openEtcdV3Switch,
  type EtcdV3SwitchOptions,
} from './switch.ts';

export interface EtcdV3StoreOptions {
  /** The store's name in the configuration: errors carry it. */
  readonly name: string;
  /** `http://host:port` or `https://host:port`, all of the same kind; at least one. */
  readonly endpoints: readonly string[];
  readonly tls?: EtcdV3Tls | undefined;
  readonly auth?: EtcdV3Auth | undefined;
  /** Where keyferry keeps its own keys. Default `_keyferry/`. */
  readonly reservedPrefix?: string | undefined;
  /** Records whose expiries fall into the same span share a lease and end with the span. Default 60,000. */
  readonly leaseBucketMs?: number | undefined;
  /** A snapshot goes into this directory before anything is written. */
  readonly backupInto?: string | undefined;
  /** Milliseconds since 1970: turns the time left of a lease into an instant and back. */
  readonly nowMs: () => number;
  /** For one request to one member. Default 10,000; etcd itself gives up after 7,000 without a quorum. */
  readonly requestTimeoutMs?: number | undefined;
}

/** It tells its changes, and tails can write to it. */
export interface EtcdV3 extends SourceStore, TargetStore {
  readonly capabilities: TargetCapabilities;
  readonly feed: ChangeFeed;
  tail(migration: MigrationId): TailControl;
}

/** Connects with the first call. One instance may be used as source and target at once. */
export function openEtcdV3Store(options: EtcdV3StoreOptions): EtcdV3 {
  return new EtcdV3Store(options);
}

class EtcdV3Store implements EtcdV3 {
  readonly capabilities: TargetCapabilities;
  readonly publication = null;
  readonly feed: ChangeFeed;
  readonly backup?: StoreBackup;
  private readonly options: EtcdV3StoreOptions;
  private readonly client: EtcdClient;
  private readonly leases: LeasePool;
  private readonly limits = new BatchLimits();
  private readonly reservedPrefix: Key;
  private readonly reserved: KeyRange;

  constructor(options: EtcdV3StoreOptions) {
    const { name, endpoints, tls, auth, nowMs } = options;
    const {
      reservedPrefix = defaultReservedPrefix,
      leaseBucketMs = defaultLeaseBucketMs,
      requestTimeoutMs = 10_000,
    } = options;
    invariant(endpoints.length > 0, `store ${name} has no endpoints`);
    invariant(reservedPrefix !== '', `store ${name} has an empty reserved prefix`);
    invariant(leaseBucketMs > 0, `store ${name} has lease buckets of ${leaseBucketMs} ms`);
    this.options = options;
    this.reservedPrefix = keyFromText(reservedPrefix);
    this.reserved = prefixRange(this.reservedPrefix);
    this.capabilities = etcdV3Capabilities(this.reservedPrefix, leaseBucketMs);
    this.client = new EtcdClient({ store: name, endpoints, tls, auth, requestTimeoutMs });
    this.feed = new EtcdV3Feed({ client: this.client, nowMs, reserved: this.reserved });
    this.leases = new LeasePool(this.client, leaseBucketMs, nowMs);
    if (options.backupInto !== undefined) this.backup = snapshotBackup(name, this.client, options.backupInto);
  }

  describe(): Promise<StoreDescription> {
    return describe({ store: this.options.name, client: this.client, endpoints: this.options.endpoints });
  }

  readMembers(): Promise<readonly MemberPosition[] | null> {
    return readMembers({ store: this.options.name, client: this.client, endpoints: this.options.endpoints });
  }

  async head(): Promise<Position> {
    return (await this.client.head()).revision as Position;
  }

  openView(range: KeyRange): Promise<StoreView> {
    const { client, reserved } = this;
    return openView({ client, nowMs: this.options.nowMs, reserved }, range);
  }

  /**
   * The server counts on to the end of the range, whatever `max` is: about 0.2 s a million keys. Plain reads and no
   * transaction, which a full 3.3 refuses even when it only reads.
   */
  async countRecords(range: KeyRange | null, max: number): Promise<number> {
    let revision: string | undefined;
    let count = 0;
    for (const part of rangeWithout(range ?? everything, this.reserved)) {
      const wire = rangeToWire(part);
      if (wire === null) continue;
      const answer = await this.client.range({ ...wire, count_only: true, ...(revision && { revision }) });
      revision = answer.header.revision;
      count += Number(answer.count);
    }
    return Math.min(max, count);
  }

  async lookUp(keys: readonly Key[]): Promise<readonly (StoredRecord | null)[]> {
    const { client, limits, options } = this;
    const found = await lookUp({ client, limits, nowMs: options.nowMs }, keys);
    return found.map((each) => each?.record ?? null);
  }

  control(migration: MigrationId): TargetControl {
    const { reserved, options } = this;
    return new EtcdTargetControl({ ...this.writerContext(migration), migration, reserved, nowMs: options.nowMs });
  }

  tail(migration: MigrationId): TailControl {
    return new EtcdTailControl(this.writerContext(migration));
  }

  private writerContext(migration: MigrationId): WriterContext {
    const { client, leases, limits, options } = this;
    const keys = new ControlKeys(this.reservedPrefix, migration);
    // Without a password, a client certificate's common name can be a user's (--client-cert-auth with users enabled).
    const hasUsers = options.auth !== undefined || options.tls?.cert !== undefined;
    return { store: options.name, client, keys, leases, limits, hasUsers };
  }

  async close(): Promise<void> {
    this.client.close();
  }
}

const everything: KeyRange = { start: '' as Key, end: null };
