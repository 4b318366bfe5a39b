/**
 * etcd v2 as a target, over its HTTP API: for going back to it, and for those who still need it.
 *
 * Reading is the source's (source.ts). Writing is one conditional request a record; what a run wrote is known by marks
 * (marks.ts), and that a worker still holds its chunk is proven in the state before each batch, because this store
 * compares no fences. README.md says what rests on what.
 */
import {
  invariant,
  keyFromText,
  type ChangeFeed,
  type Key,
  type KeyRange,
  type MemberPosition,
  type MigrationId,
  type Position,
  type SourceStore,
  type StoreDescription,
  type StoredRecord,
  type StoreView,
  type TailControl,
  type TargetCapabilities,
  type TargetControl,
  type TargetStore,
} from '@keyferry/core';
import { HttpClient } from '../http/client.ts';
import { EtcdV2Api } from './api.ts';
import { etcdV2TargetCapabilities, defaultReservedPrefix } from './capabilities.ts';
import { EtcdV2Control } from './control.ts';
import { ControlKeys } from './control-keys.ts';
import { Lanes } from '../lanes.ts';
import { openEtcdV2Store, type EtcdV2Options } from './source.ts';
import { EtcdV2TailControl } from './tail.ts';
import { recordOf, type TargetContext } from './target-context.ts';
import { EtcdV2WriteApi } from './write-api.ts';

export interface EtcdV2TargetOptions extends EtcdV2Options {
  /** Where keyferry keeps its own keys; a name that begins with an underscore is in it. Default `/_keyferry/`. */
  readonly reservedPrefix?: string | undefined;
}

/** It tells its changes, and tails can write to it. */
export interface EtcdV2 extends SourceStore, TargetStore {
  readonly capabilities: TargetCapabilities;
  readonly feed: ChangeFeed;
  tail(migration: MigrationId): TailControl;
}

/** Requests under way at once: enough to fill a consensus round, few enough to leave a member time for applications. */
const requestsAtOnce = 32;
const everything: KeyRange = { start: '' as Key, end: null };

/**
 * @example
 * const target = openEtcdV2Target({ name: 'old', endpoints: ['http://127.0.0.1:2379'], nowMs: () => Date.now() });
 */
export function openEtcdV2Target(options: EtcdV2TargetOptions): EtcdV2 {
  return new EtcdV2Target(options);
}

class EtcdV2Target implements EtcdV2 {
  readonly capabilities: TargetCapabilities;
  readonly publication = null;
  readonly feed: ChangeFeed;
  private readonly options: EtcdV2TargetOptions;
  private readonly source: ReturnType<typeof openEtcdV2Store>;
  private readonly client: HttpClient;
  private readonly reads: EtcdV2Api;
  private readonly writes: EtcdV2WriteApi;
  private readonly lanes = new Lanes(requestsAtOnce);
  private readonly reservedPrefix: Key;
  /** One a migration: it knows what it removed until it drops its own keys. */
  private readonly controls = new Map<MigrationId, EtcdV2Control>();

  constructor(options: EtcdV2TargetOptions) {
    const { name, endpoints, tls, auth, requestTimeoutMs = 15_000, reservedPrefix = defaultReservedPrefix } = options;
    invariant(isHiddenPrefix(reservedPrefix), `store ${name} keeps its own keys where listings show them`);
    this.options = options;
    this.reservedPrefix = keyFromText(reservedPrefix.endsWith('/') ? reservedPrefix : `${reservedPrefix}/`);
    this.capabilities = etcdV2TargetCapabilities(this.reservedPrefix);
    this.source = openEtcdV2Store(options);
    this.feed = this.source.feed;
    this.client = new HttpClient({ store: name, endpoints, tls, auth, timeouts: { headersMs: requestTimeoutMs } });
    this.reads = new EtcdV2Api(name, this.client, requestTimeoutMs);
    this.writes = new EtcdV2WriteApi(name, this.client, auth?.user ?? null);
  }

  describe(): Promise<StoreDescription> {
    return this.source.describe();
  }

  head(): Promise<Position> {
    return this.source.head();
  }

  openView(range: KeyRange): Promise<StoreView> {
    return this.source.openView(range);
  }

  readMembers(): Promise<readonly MemberPosition[] | null> {
    return this.source.readMembers();
  }

  async countRecords(range: KeyRange | null, max: number): Promise<number> {
    const view = await this.source.openView(range ?? everything);
    try {
      let count = 0;
      for await (const { records } of view.scan(range ?? everything, { pageKeysMax: 1000 })) {
        count += records.length;
        if (count >= max) return max;
      }
      return count;
    } finally {
      await view.close();
    }
  }

  async lookUp(keys: readonly Key[]): Promise<readonly (StoredRecord | null)[]> {
    const { nowMs } = this.options;
    return await this.lanes.all(keys, async (key) => recordOf(key, await this.writes.read(key), nowMs()));
  }

  control(migration: MigrationId): TargetControl {
    const known = this.controls.get(migration);
    if (known !== undefined) return known;
    const control = new EtcdV2Control(this.contextOf(migration), this.source);
    this.controls.set(migration, control);
    return control;
  }

  tail(migration: MigrationId): TailControl {
    return new EtcdV2TailControl(this.contextOf(migration));
  }

  private contextOf(migration: MigrationId): TargetContext {
    const { reads, writes, lanes, reservedPrefix } = this;
    const { name: store, nowMs } = this.options;
    const keys = new ControlKeys(reservedPrefix, migration);
    return { store, migration, reads, writes, lanes, keys, reservedPrefix, nowMs };
  }

  async close(): Promise<void> {
    this.client.close();
    await this.source.close();
  }
}

/** What begins with an underscore is in no listing above it. */
export function isHiddenPrefix(prefix: string): boolean {
  return /^\/(?:[^/]+\/)*_[^/]*\/?$/.test(prefix);
}
