/**
 * MemoryStore: a whole store, source and target, in memory. The engine's tests and the simulator run on it, and it
 * passes the same contract suites as every adapter: what holds here holds there.
 *
 * A call has its whole effect before it returns its promise: calls are atomic, in the order in which they are made.
 * Delays, reordering and crashes are the simulator's business, around this store and not in it.
 */
import {
  compareFences,
  intersectRanges,
  invariant,
  keyAfter,
  KeyferryError,
  type Key,
  type KeyRange,
  type MemberPosition,
  type MigrationId,
  type OnlineSource,
  type OnlineTarget,
  type Position,
  type Publication,
  type RecordPage,
  type ScanOptions,
  type SourceStore,
  type StoreDescription,
  type StoredRecord,
  type StoreView,
  type TailControl,
  type TargetCapabilities,
  type TargetControl,
  type TargetStore,
  type Version,
} from '../src/index.ts';
import { ControlData, MemoryControl, type ControlOperation } from './memory-control.ts';
import { MemoryData, sliceRange } from './memory-data.ts';
import { Faults, type FaultMoment } from './memory-faults.ts';
import { MemoryFeed, type FeedOperation } from './memory-feed.ts';
import { MemoryTailControl } from './memory-tail.ts';
import { onlineSourceOn, onlineTargetOn } from './memory-online-faces.ts';
import type { MemorySwitchData } from './memory-switch.ts';
import { allRules, type ProtocolRules } from './protocol-rules.ts';

export type StoreOperation =
  | 'describe'
  | 'head'
  | 'openView'
  | 'scan'
  | 'readMembers'
  | 'countRecords'
  | 'lookUp'
  | 'exists'
  | 'publish'
  | ControlOperation
  | FeedOperation;

export interface MemoryStoreOptions {
  /** `memory` by default. */
  readonly name?: string;
  /** The name by default. */
  readonly identity?: string | null;
  /** As a description states it; null by default. */
  readonly viewLocks?: string | null;
  /** The clock that ends records; by default it stands still at 0. */
  readonly nowMs?: () => number;
  readonly capabilities?: Partial<TargetCapabilities>;
  /** Rules that are not named are on. */
  readonly rules?: Partial<ProtocolRules>;
  /** What `readMembers` answers; null (a single store) by default. */
  readonly members?: () => readonly MemberPosition[] | null;
  /** What is put waits to be published: it is written whole or not at all. */
  readonly writtenOnce?: boolean;
  /** The same data as another store's, as a second connection would see it. */
  readonly sharedWith?: MemoryStore;
}

export const memoryCapabilities: TargetCapabilities = {
  orderedScan: true,
  pinnedView: true,
  expiry: true,
  positionIsContent: false,
  hidesKeys: null,
  lossyText: false,
  fencing: true,
  batchKeysMax: 100,
  batchBytesMax: 256 * 1024,
  recordBytesMax: 128 * 1024,
  emptyKeys: true,
  parentKeys: true,
  unfit: null,
  reservedPrefix: null,
  expiryToleranceMs: 0,
  origins: true,
};

export class MemoryStore implements SourceStore, TargetStore {
  readonly capabilities: TargetCapabilities;
  readonly publication: Publication | null;
  readonly feed: MemoryFeed;
  private readonly name: string;
  private readonly identity: string | null;
  private readonly viewLocks: string | null;
  private readonly rules: ProtocolRules;
  private readonly members: () => readonly MemberPosition[] | null;
  private readonly data: MemoryData;
  private readonly controls: Map<MigrationId, ControlData>;
  /** Who wrote what is there, of a store that is written once; `others` for whoever is no migration. */
  private readonly published: { by: MigrationId | 'others' | null };
  private readonly faults = new Faults<StoreOperation>();
  private viewsOpen = 0;
  private closed = false;

  constructor(options: MemoryStoreOptions = {}) {
    this.name = options.name ?? 'memory';
    this.identity = options.identity === undefined ? this.name : options.identity;
    this.capabilities = { ...memoryCapabilities, ...options.capabilities };
    this.viewLocks = options.viewLocks ?? null;
    this.rules = { ...allRules, ...options.rules };
    this.publication = options.writtenOnce === true ? this.writtenOnce() : null;
    this.published = options.sharedWith?.published ?? { by: null };
    this.members = options.members ?? (() => null);
    this.data = options.sharedWith?.data ?? new MemoryData(options.nowMs ?? (() => 0));
    this.controls = options.sharedWith?.controls ?? new Map<MigrationId, ControlData>();
    this.feed = new MemoryFeed(options.name ?? 'memory', this.data, (operation, effect) => this.run(operation, effect));
  }

  async describe(): Promise<StoreDescription> {
    return this.run('describe', () => ({
      kind: 'memory',
      version: '1',
      endpoints: [this.name],
      members: this.members()?.length ?? null,
      identity: this.identity,
      viewLocks: this.viewLocks,
    }));
  }

  async readMembers(): Promise<readonly MemberPosition[] | null> {
    return this.run('readMembers', () => this.members());
  }

  async head(): Promise<Position> {
    return this.run('head', () => this.position());
  }

  async openView(range: KeyRange): Promise<StoreView> {
    return this.run('openView', () => {
      const pinned = this.data.all();
      const records = () => (this.capabilities.pinnedView ? pinned : this.data.all());
      const position = this.position();
      let open = true;
      this.viewsOpen += 1;
      return {
        position,
        scan: (part, options) => this.scan(records, intersectRanges(range, part), options, () => open),
        close: async () => {
          if (open) this.viewsOpen -= 1;
          open = false;
        },
      };
    });
  }

  async countRecords(range: KeyRange | null, max: number): Promise<number> {
    return this.run('countRecords', () => {
      return sliceRange(this.data.all(), range ?? { start: '' as Key, end: null }, max).length;
    });
  }

  async lookUp(keys: readonly Key[]): Promise<readonly (StoredRecord | null)[]> {
    return this.run('lookUp', () => {
      invariant(keys.length <= this.capabilities.batchKeysMax, `a look at ${keys.length} records`);
      return keys.map((key) => this.data.get(key) ?? null);
    });
  }

  control(migration: MigrationId): TargetControl {
    return new MemoryControl({
      migration,
      data: this.data,
      own: this.controlData(migration),
      rules: this.rules,
      capabilities: this.capabilities,
      run: (operation, effect) => this.run(operation, effect),
    });
  }

  tail(migration: MigrationId): TailControl {
    return new MemoryTailControl({
      migration,
      data: this.data,
      own: this.controlData(migration),
      rules: this.rules,
      capabilities: this.capabilities,
      run: (operation, effect) => this.run(operation, effect),
    });
  }

  async close(): Promise<void> {
    this.closed = true;
  }

  // What tests do behind keyferry's back: an application's writes, a look at the data, faults.

  put(key: Key, value: Uint8Array, expiresAtMs: number | null = null): Version {
    this.published.by ??= 'others';
    return this.data.put(key, value, expiresAtMs);
  }

  delete(key: Key): boolean {
    return this.data.delete(key);
  }

  /** All keys of a range in one change, as a directory of etcd v2 goes. */
  deleteRange(range: KeyRange): void {
    this.data.deleteRange(range);
  }

  /** The feed forgets what has been so far. */
  compact(): void {
    this.data.compact();
  }

  /** An application's delete under dual-read: the key goes, and its tombstone says that it no longer falls back. */
  putTombstone(migration: MigrationId, key: Key): void {
    this.data.delete(key);
    this.controlData(migration).tombstones.add(key);
  }

  /** An application's put under dual-read: what is there from now on is no longer deleted. */
  putOverTombstone(migration: MigrationId, key: Key, value: Uint8Array): void {
    this.put(key, value);
    this.controlData(migration).tombstones.delete(key);
  }

  /** The keys for which a migration holds tombstones. */
  tombstones(migration: MigrationId): ReadonlySet<Key> {
    return new Set(this.controlData(migration).tombstones);
  }

  /** The same records as an application's instances use them while they move. */
  onlineSource(): OnlineSource {
    return onlineSourceOn(this.data);
  }

  /** @param held the switch that this store holds, if it does */
  onlineTarget(migration: MigrationId, held: MemorySwitchData | null = null): OnlineTarget {
    return onlineTargetOn(this.data, this.controlData(migration), held);
  }

  /** The records as they are now. */
  snapshot(): ReadonlyMap<Key, StoredRecord> {
    return new Map(this.data.all().map((record) => [record.key, record]));
  }

  /** How many puts, deletes and expiries there were. */
  revision(): number {
    return this.data.revision();
  }

  /** Of a store that is written once. */
  wasPublished(): boolean {
    return this.published.by !== null;
  }

  /** Views that nobody has closed yet. */
  openViews(): number {
    return this.viewsOpen;
  }

  /** The next call of `operation` fails; several faults of one operation take their turns. */
  failNext(operation: StoreOperation, moment: FaultMoment = 'before', error?: KeyferryError): void {
    this.faults.plant(operation, moment, error);
  }

  private async *scan(
    records: () => readonly StoredRecord[],
    range: KeyRange | null,
    { pageKeysMax }: ScanOptions,
    isOpen: () => boolean,
  ): AsyncIterable<RecordPage> {
    let rest = range;
    while (rest !== null) {
      const { end, start } = rest;
      invariant(isOpen(), 'a scan of a view that was closed');
      const page = this.run('scan', () => sliceRange(records(), { start, end }, pageKeysMax));
      const last = page.at(-1);
      if (last === undefined) return;
      yield { records: page, notCarried: [] };
      rest = { start: keyAfter(last.key), end };
    }
  }

  private writtenOnce(): Publication {
    return {
      exists: async () => this.run('exists', () => this.published.by !== null),
      publish: async (migration, epoch) =>
        this.run('publish', () => {
          const own = this.controlData(migration);
          if (own.epoch === null || compareFences(own.epoch, epoch) !== 0) {
            throw new KeyferryError('fence.lost', { chunk: `all of ${migration}` });
          }
          const { by } = this.published;
          if (by !== null && by !== migration && own.marks.size > 0) {
            throw new KeyferryError('target.exists', { store: this.name, what: this.name });
          }
          this.published.by ??= migration;
        }),
    };
  }

  private controlData(migration: MigrationId): ControlData {
    const data = this.controls.get(migration) ?? new ControlData();
    this.controls.set(migration, data);
    return data;
  }

  private position(): Position {
    return String(this.data.revision()) as Position;
  }

  private run<T>(operation: StoreOperation, effect: () => T): T {
    invariant(!this.closed, `${operation} on store ${this.name} after it was closed`);
    return this.faults.run(operation, effect);
  }
}
