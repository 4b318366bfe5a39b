/**
 * Consul's KV store as a source and as a target; see README.md for what it can and cannot do.
 *
 * @example
 * const store = openConsulTarget({ name: 'new', endpoints: ['https://127.0.0.1:8501'], token, nowMs: Date.now });
 */
import {
  invariant,
  keyFromText,
  prefixRange,
  rangeHolds,
  type Key,
  type KeyRange,
  type MemberPosition,
  type MigrationId,
  type Position,
  type SourceStore,
  type StoredRecord,
  type StoreDescription,
  type StoreView,
  type TailControl,
  type TargetCapabilities,
  type TargetControl,
  type TargetLock,
  type TargetStore,
} from '@keyferry/core';
import type { HttpClient } from '../http/client.ts';
import { assertTokenWhereNeeded } from './access.ts';
import type { ConsulApi } from './api.ts';
import {
  consulSourceCapabilities,
  consulTargetCapabilities,
  defaultReservedPrefix,
  defaultTransactionBytes,
} from './capabilities.ts';
import type { WriterContext } from './chunk-writer.ts';
import { connectionTo, type ConsulConnectionOptions } from './connection.ts';
import { ConsulControl } from './control.ts';
import { ControlKeys } from './control-keys.ts';
import { ConsulLock } from './lock.ts';
import { describe } from './describe.ts';
import { ConsulFeed } from './feed.ts';
import { recordOf } from './entry.ts';
import { listingPrefix, readablePrefix } from './key-form.ts';
import { lookUp } from './look-up.ts';
import { ConsulTail } from './tail.ts';
import { ValueForm } from './value-form.ts';
import { openView, type ViewContext } from './view.ts';

export { openConsulOnlineTarget, type ConsulOnlineTargetOptions } from './online-target.ts';
export {
  openConsulPlainSwitch,
  openConsulPrimarySwitch,
  openConsulSwitch,
  type ConsulSwitchOptions,
} from './switch.ts';

export interface ConsulOptions extends ConsulConnectionOptions {
  /** JSON pointer into values: what stands there is what a record's flags are expected to be. Default: they are 0. */
  readonly flagsFrom?: string | undefined;
  /** Where keyferry keeps its own keys. Default `_keyferry/`. */
  readonly reservedPrefix?: string | undefined;
  /** Milliseconds since 1970, by which a before-image's time may be over. */
  readonly nowMs: () => number;
  /** Where `head()` looks, and what the feed watches: the migration's prefix. Default: everywhere. */
  readonly prefix?: string | undefined;
  /** Least time in milliseconds between two listings for the feed. Default 1,000. */
  readonly feedFloorMs?: number | undefined;
  /** Where the feed keeps which keys it saw, so that another process can go on. Default: for this process alone. */
  readonly feedFile?: string | undefined;
}

export interface ConsulSourceOptions extends ConsulOptions {
  /**
   * What becomes of records whose flags their values do not say: left out and counted (the default), carried in their
   * values, or carried without their flags.
   */
  readonly flags?: 'leave-out' | 'carry' | 'drop' | undefined;
}

export interface ConsulTargetOptions extends ConsulOptions {
  /** What the servers' `limits.txn_max_req_len` is set to, in bytes. Default 524,288. */
  readonly transactionBytes?: number | undefined;
  /** Whether runs hold a lock in Consul, which takes `session:write`. Default true. */
  readonly lock?: boolean | undefined;
}

const defaultTimeoutMs = 15_000;
const defaultFeedFloorMs = 1000;
const everything: KeyRange = { start: '' as Key, end: null };

/** Connects with the first call. */
export function openConsulSource(options: ConsulSourceOptions): SourceStore {
  return new ConsulSource(options);
}

/** Connects with the first call. May be used as a source too, for reading what keyferry itself may meet. */
export function openConsulTarget(options: ConsulTargetOptions): SourceStore & TargetStore {
  return new ConsulTarget(options);
}

/** What both sides do. */
class ConsulReader {
  protected readonly options: ConsulOptions;
  protected readonly client: HttpClient;
  protected readonly api: ConsulApi;
  protected readonly form: ValueForm;
  protected readonly reservedPrefix: Key;
  protected readonly reserved: KeyRange;
  readonly feed: ConsulFeed;
  private readonly view: ViewContext;

  constructor(options: ConsulOptions, { flags, locks }: Pick<ViewContext, 'flags' | 'locks'>) {
    const { reservedPrefix = defaultReservedPrefix } = options;
    invariant(reservedPrefix !== '', `store ${options.name} has an empty reserved prefix`);
    this.options = options;
    const { client, api } = connectionTo(options, defaultTimeoutMs);
    this.client = client;
    this.api = api;
    this.form = new ValueForm(options.flagsFrom ?? null);
    this.reservedPrefix = keyFromText(reservedPrefix);
    this.reserved = prefixRange(this.reservedPrefix);
    this.view = { api: this.api, form: this.form, reserved: this.reserved, flags, locks };
    const { prefix = '', feedFloorMs: floorMs = defaultFeedFloorMs, feedFile: imageFile = null } = options;
    this.feed = new ConsulFeed(this.view, { prefix, floorMs, imageFile });
  }

  describe(): Promise<StoreDescription> {
    return describe(this.api, this.client.endpoints);
  }

  /** Agents speak for the cluster, and every read is a consistent one: there is no member to be asked by itself. */
  readMembers(): Promise<readonly MemberPosition[] | null> {
    return Promise.resolve(null);
  }

  head(): Promise<Position> {
    return this.api.readPosition(readablePrefix(keyFromText(this.options.prefix ?? '')));
  }

  openView(range: KeyRange): Promise<StoreView> {
    return openView(this.view, range);
  }

  close(): Promise<void> {
    this.feed.close();
    this.client.close();
    return Promise.resolve();
  }
}

class ConsulSource extends ConsulReader implements SourceStore {
  readonly capabilities;

  constructor(options: ConsulSourceOptions) {
    super(options, { flags: options.flags ?? 'leave-out', locks: 'leave-out' });
    this.capabilities = consulSourceCapabilities(options.token !== undefined);
  }
}

class ConsulTarget extends ConsulReader implements SourceStore, TargetStore {
  readonly capabilities: TargetCapabilities;
  readonly publication = null;
  readonly lock: TargetLock | undefined;
  private readonly transactionBytes: number;

  constructor(options: ConsulTargetOptions) {
    super(options, { flags: 'carry', locks: 'carry' });
    this.transactionBytes = options.transactionBytes ?? defaultTransactionBytes;
    this.lock = options.lock === false ? undefined : new ConsulLock(this.api, this.reservedPrefix);
    this.capabilities = consulTargetCapabilities(this.reservedPrefix, this.transactionBytes, this.form);
  }

  /** The server lists all keys of the range, whatever `max` is. */
  async countRecords(range: KeyRange | null, max: number): Promise<number> {
    await assertTokenWhereNeeded(this.api);
    const counted = range ?? everything;
    const isCounted = (key: Key) => rangeHolds(counted, key) && !rangeHolds(this.reserved, key);
    return await this.api.countKeys(listingPrefix(counted), isCounted, max);
  }

  async lookUp(keys: readonly Key[]): Promise<readonly (StoredRecord | null)[]> {
    const found = await lookUp(this.api, keys);
    return found.map((entry) => (entry === null ? null : recordOf(entry, this.form)));
  }

  control(migration: MigrationId): TargetControl {
    const { nowMs } = this.options;
    return new ConsulControl({ ...this.writerContext(migration), migration, reserved: this.reserved, nowMs });
  }

  tail(migration: MigrationId): TailControl {
    return new ConsulTail(this.writerContext(migration));
  }

  private writerContext(migration: MigrationId): WriterContext {
    const { api, form, transactionBytes } = this;
    const keys = new ControlKeys(this.reservedPrefix, migration);
    return { store: this.options.name, api, operations: api.operations, keys, form, transactionBytes };
  }
}
