/**
 * Stores: what the engine needs from a source and from a target. One port each, and what both share.
 *
 * The page is the unit: no promise and no callback a record. Whatever differs between stores is a field of the
 * capabilities, read by the planner; nothing in the engine asks which store it is.
 */
import type { BackupForm, TakenBackup } from '../model/backup.ts';
import type { StoreBilling } from '../model/billing.ts';
import type { BeforeImage, Restoration, RestoreOutcome } from '../model/before-image.ts';
import type { Fence } from '../model/fence.ts';
import type { ChunkId, MigrationId } from '../model/ids.ts';
import type { Key, KeyRange } from '../model/key.ts';
import type { PackedPage } from '../model/packed-page.ts';
import type { Position } from '../model/position.ts';
import type { RecordPage, StoredRecord, Version } from '../model/record.ts';
import type { ChangeFeed, TailControl } from './change-feed.ts';
import type { TargetLock } from './target-lock.ts';

export interface StoreCapabilities {
  /** Scans come in ascending byte order of the keys, so that two of them can be merged. */
  readonly orderedScan: boolean;
  /** A view shows one state of the store for as long as it is open, whatever is written meanwhile. */
  readonly pinnedView: boolean;
  /** Records can carry an expiry. */
  readonly expiry: boolean;
  /** Equal positions mean equal content, whichever store it is in: the position is a digest. */
  readonly positionIsContent: boolean;
  /** Which records no scan shows although the store holds them, as the subject of a sentence; null: it shows all. */
  readonly hidesKeys: string | null;
  /** Bytes that are not UTF-8 were replaced by U+FFFD before anybody could read them. */
  readonly lossyText: boolean;
  /** A view is read whole before it yields its first record. Absent: page by page. */
  readonly readWhole?: boolean;
  /** What reading and writing it costs; absent: it is not billed by use. */
  readonly billing?: StoreBilling;
}

/** What the plan prints about a store. Holds no secret. */
export interface StoreDescription {
  /** The adapter: `etcd-v2`, `etcd-v3`, `dynamodb`, `sqlite`, `file`, `memory`. */
  readonly kind: string;
  /** The server's or format's own version, as it states it. */
  readonly version: string;
  readonly endpoints: readonly string[];
  readonly members: number | null;
  /** Equal identities mean one and the same store or cluster, or a copy of it; null when the store has no notion of it. */
  readonly identity: string | null;
  /** The file that an open view may keep from being written, by its real path; null: views hold up no writer. */
  readonly viewLocks: string | null;
  /** Where reading ends because what follows is damaged, and that was asked for; absent: the store is read whole. */
  readonly cutShort?: string;
  /** Why nobody can ever have used the store, as a sentence; absent: somebody has, or that cannot be told. */
  readonly neverUsed?: string;
  /** Who is seen writing to it at this moment, as a sentence; absent: nobody is seen. */
  readonly beingWritten?: string;
}

/** Where one member of a replicated store stands. */
export interface MemberPosition {
  readonly member: string;
  /** Index of the last entry of the replicated log that the member knows to be committed. */
  readonly raftIndex: bigint;
  readonly raftTerm: bigint;
  /** Absent: what the members hold was not compared. */
  readonly content?: MemberContent;
}

/** Digests of what a member holds; equal ones mean equal content. */
export interface MemberContent {
  /** Where it is itself. */
  readonly own: string;
  /** Where all of the members are that were compared; null: it cannot be told any more. */
  readonly shared: string | null;
}

export interface ScanOptions {
  /** Most records in a page; 1 or more. A page may hold fewer, and none. */
  readonly pageKeysMax: number;
}

/** A range of a store, opened for reading. Close it: it may hold a transaction, a spool file or a snapshot. */
export interface StoreView {
  readonly position: Position;
  /**
   * Pages over a part of the range it was opened for, each record once, ascending when `orderedScan`. Several scans
   * may run at once. keyferry's own control keys are never among the records.
   * @throws {KeyferryError} `store.position-compacted` when the store dropped the state at `position`.
   */
  scan(range: KeyRange, options: ScanOptions): AsyncIterable<RecordPage>;
  close(): Promise<void>;
}

/** For a store of which the configuration demands a backup before the first write. */
export interface StoreBackup {
  readonly what: BackupForm;
  /** The directory that it goes into. */
  readonly into: string;
  /**
   * Makes one under a name of its own, of the store as it is now or later, and reads it again to see that it is whole.
   * Never over anything that is there.
   * @throws {KeyferryError} `backup.failed`; nothing with that name is there then
   */
  take(name: string): Promise<Pick<TakenBackup, 'path' | 'bytes' | 'sha256'>>;
}

export interface ReadableStore {
  readonly capabilities: StoreCapabilities;
  /** Absent: none is demanded. */
  readonly backup?: StoreBackup;
  /** Absent: it does not tell its changes. */
  readonly feed?: ChangeFeed | undefined;
  describe(): Promise<StoreDescription>;
  /** The store's position now, read with the store's strongest consistency. */
  head(): Promise<Position>;
  /** A view of `range` at or after the head at the time of the call. */
  openView(range: KeyRange): Promise<StoreView>;
  close(): Promise<void>;
}

export interface SourceStore extends ReadableStore {
  /**
   * Each member asked by itself, unreachable ones included as an error; null when the store is a single one. Where what they
   * hold is compared, the first is the one that is read.
   */
  readMembers(): Promise<readonly MemberPosition[] | null>;
}

export interface TargetCapabilities extends StoreCapabilities {
  /** The target itself refuses a write whose fence or epoch is not the one it holds. */
  readonly fencing: boolean;
  /** Keys of one batch that can be written in one request. */
  readonly batchKeysMax: number;
  /** Sum of key and value bytes in one request. */
  readonly batchBytesMax: number;
  /** Key and value bytes of the largest record that it takes; null: no limit. */
  readonly recordBytesMax: number | null;
  readonly emptyKeys: boolean;
  /** A key may hold a value although others lie below it (`a` beside `a/b`); false: a path is a value or a directory. */
  readonly parentKeys: boolean;
  /**
   * Why the store can never hold a record as it is, as the remainder of a sentence and from a small set of reasons; null:
   * it can. Asked of every record of a plan and kept by every write, so it is pure and quick. Null: it holds any bytes.
   */
  readonly unfit: ((record: Pick<StoredRecord, 'key' | 'value'>) => string | null) | null;
  /** Where keyferry keeps its own keys in this store; null when they are not among the records (own tables). */
  readonly reservedPrefix: Key | null;
  /** Longest time, in milliseconds, that a record may outlive its expiry (shared leases, sweep intervals). */
  readonly expiryToleranceMs: number;
  /** Records whose expiries fall into the same span of this length share a lease; absent: there are none to share. */
  readonly leaseBucketMs?: number;
  /** A record that is put can carry the version that it had in the source (`GuardedPut.origin`); absent: it cannot. */
  readonly origins?: true;
}

/** A record that is to be there. */
export interface GuardedPut {
  readonly kind: 'put';
  readonly key: Key;
  readonly value: Uint8Array;
  readonly expiresAtMs: number | null;
  /** absent: neither key nor tombstone is there. A version: the record is the one that the reviewed plan saw. */
  readonly expect: 'absent' | { readonly version: Version };
  /** Kept beside the record, in the same step: the version that it has in the source. Only for a target of `origins`. */
  readonly origin?: Version;
}

/** A record that is to go. Without the version that the reviewed plan saw there is no deleting. */
export interface GuardedDelete {
  readonly kind: 'delete';
  readonly key: Key;
  readonly expect: { readonly version: Version };
}

/** The only writes that backfill knows. */
export type GuardedChange = GuardedPut | GuardedDelete;

export type ChangeOutcome =
  | { readonly kind: 'written'; readonly version: Version }
  /**
   * There, equal to what was to be written, and put there by an earlier try of this attempt (its answer was lost, or
   * its worker died). Equal is part of it: a source that moved between the tries must show as `present`.
   */
  | { readonly kind: 'already-written'; readonly version: Version }
  /**
   * The guard failed; `equal` says whether what is there is what was to be written (value, and expiry or none). Never
   * for a delete: its record is another version, and is left as it is.
   */
  | { readonly kind: 'present'; readonly version: Version; readonly equal: boolean }
  /** Gone by this attempt, now or in an earlier try. */
  | { readonly kind: 'deleted' }
  /** The record that the plan wanted to overwrite or delete is gone, and not by this attempt. */
  | { readonly kind: 'missing' }
  | { readonly kind: 'tombstoned' }
  /** The store can never take this record as it is (size, key form). */
  | { readonly kind: 'refused'; readonly detail: string };

/** Records of a packed page that are to be put where nothing is, as they lie there: ascending, and none of them expires. */
export interface PackedPuts {
  readonly page: PackedPage;
  /** From this index of the page on, up to but without `end`; one at least. */
  readonly start: number;
  readonly end: number;
  /** Of their keys and values, as they are in the page. */
  readonly bytes: number;
  /** What the keys of the page begin with, and what those that are put begin with in its place. */
  readonly sourcePrefix: Key;
  readonly targetPrefix: Key;
}

/** A claimed chunk's way to write. */
export interface ChunkWriter {
  /**
   * Makes one batch of changes within the limits that the capabilities state, all of it under the fence and epoch of
   * the claim. One outcome for each, in order. Harmless to repeat. Several batches may be under way at once; no key may
   * be in two of them.
   * @throws {KeyferryError} `fence.lost` when the target holds another fence or epoch; nothing was changed then.
   */
  write(changes: readonly GuardedChange[]): Promise<readonly ChangeOutcome[]>;
  /**
   * As `write` of puts that expect nothing to be there, all or none of them: an object a record, which nobody looks at, is
   * most of what a store costs that takes many at once. `declined`: something speaks against one of them, or they have been
   * put before; nothing was changed, and they are to come as changes, each with an outcome of its own. Absent: changes alone.
   * @throws {KeyferryError} `fence.lost` as `write`
   */
  writePacked?(puts: PackedPuts): Promise<'written' | 'declined'>;
}

export type RaiseOutcome =
  | { readonly kind: 'raised' }
  /** The target holds one as high or higher. */
  | { readonly kind: 'refused'; readonly current: Fence };

export type ClaimOutcome =
  | { readonly kind: 'claimed'; readonly writer: ChunkWriter }
  /** The target holds a fence as high or higher for this chunk, or another epoch. */
  | { readonly kind: 'refused'; readonly fence: Fence | null; readonly epoch: Fence | null };

export interface CreatedRecord {
  readonly key: Key;
  readonly version: Version;
}

export type RemoveOutcome = 'removed' | 'changed' | 'absent';

/**
 * A migration's own keys in the target: epoch, fences, marks, tombstones, done marker. They live under a reserved prefix that no
 * scan returns.
 */
export interface TargetControl {
  readEpoch(): Promise<Fence | null>;
  /** Sets the epoch if it is higher than the one there. All writers under a lower one are shut out from then on. */
  raiseEpoch(epoch: Fence): Promise<RaiseOutcome>;
  readFence(chunk: ChunkId): Promise<Fence | null>;
  /**
   * Raises the chunk's fence and hands out its writer. A repeat with the same fence by the same claimer is refused:
   * claim anew.
   */
  claimChunk(chunk: ChunkId, fence: Fence, epoch: Fence): Promise<ClaimOutcome>;
  /**
   * Pages of what this migration created in `range`, in any attempt, and nobody changed since, itself neither. What it
   * overwrote or put back is not among them: removing that would be no way back.
   */
  listCreated(range: KeyRange, options: ScanOptions): AsyncIterable<readonly CreatedRecord[]>;
  /**
   * Removes each record only if it still has that version, under the epoch. Any number at once.
   * @throws {KeyferryError} `fence.lost` when the target holds another epoch; nothing was removed then.
   */
  removeCreated(records: readonly CreatedRecord[], epoch: Fence): Promise<readonly RemoveOutcome[]>;
  /** The records to be overwritten or deleted, as they are now; one for each key, in order. At most `batchKeysMax`. */
  readBefore(keys: readonly Key[]): Promise<readonly (BeforeImage | null)[]>;
  /**
   * Undoes overwrites and deletes, each only where nobody changed anything since: over what this migration overwrote, or,
   * for a delete, where still nothing is and this migration had deleted it. (A record that somebody made there and
   * deleted again leaves no trace in most stores, so that its delete is not respected.) A record put back is the
   * migration's own again only if it was before. Newest attempt first, all of it before `listCreated`; any number at
   * once; harmless to repeat.
   * @throws {KeyferryError} `fence.lost` when the target holds another epoch; nothing was changed then.
   */
  restore(restorations: readonly Restoration[], epoch: Fence): Promise<readonly RestoreOutcome[]>;
  /**
   * Drops fences, marks, tombstones and the records of tails; the epoch stays, so that an attempt's number is never used again, and so does
   * the done marker.
   * @throws {KeyferryError} `fence.lost` when the target holds another epoch.
   */
  dropControl(epoch: Fence): Promise<void>;
  /** The done marker as it was written; null: there is none. */
  readDone(): Promise<string | null>;
  /**
   * Writes the done marker, or takes it away (`null`), under the epoch. It stays when control keys are dropped. Harmless
   * to repeat.
   * @throws {KeyferryError} `fence.lost` when the target holds another epoch; nothing was changed then.
   */
  writeDone(marker: string | null, epoch: Fence): Promise<void>;
}

/**
 * For a target that is written whole or not at all: what is put waits, and nobody sees it there until it is published.
 * keyferry's own views show what waits, as long as nothing is there.
 */
export interface Publication {
  /** Whether something is there, whoever wrote it. It is never replaced. */
  exists(): Promise<boolean>;
  /**
   * Makes of all that waits, if the migration put any of it or nothing is there. Harmless to repeat.
   * @throws {KeyferryError} `fence.lost` when the target holds another epoch; `target.exists` when something is there
   *   that is not this migration's. Nothing was published then.
   */
  publish(migration: MigrationId, epoch: Fence): Promise<void>;
}

export interface TargetStore extends ReadableStore {
  readonly capabilities: TargetCapabilities;
  /** Null: each write is there at once. */
  readonly publication: Publication | null;
  /** Absent: it keeps no locks, or is told not to; then the state's alone holds runs apart. */
  readonly lock?: TargetLock | undefined;
  /** Records anywhere in the store (`null`) or in a range, keyferry's own apart; counting stops at `max`. */
  countRecords(range: KeyRange | null, max: number): Promise<number>;
  /** One for each key, in order, read with the store's strongest consistency. At most `batchKeysMax` keys. */
  lookUp(keys: readonly Key[]): Promise<readonly (StoredRecord | null)[]>;
  control(migration: MigrationId): TargetControl;
  /** Absent: no tail can write to it. */
  tail?(migration: MigrationId): TailControl;
}
