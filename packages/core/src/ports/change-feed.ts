/**
 * Change feed: what a store says about its changes, from a position on; and the tail's side of it, the one writer that
 * carries them into another store.
 *
 *     S.feed ──read──► batch (changes, position after it) ──rules──► TailWriter.apply(changes, position) ──► T
 *
 * A feed is never proof: it may have lost its position, and then a comparison of both sides stands in its place. The
 * stored position lies in the store that is written and moves with the effect or after it, never before it (SPEC R39);
 * so whoever goes on from it misses nothing, and what is applied twice has the same end. Feeds are pulled, one read at a
 * time, so that a function with a deadline and a process that follows for weeks are the same code.
 */
import type { Fence } from '../model/fence.ts';
import type { Key, KeyRange } from '../model/key.ts';
import type { Position } from '../model/position.ts';
import type { Version } from '../model/record.ts';
import type { StopSignal } from './environment.ts';

export interface FeedCapabilities {
  /**
   * log: every change, in the order in which the store made them. state: only what is there now; what was deleted, and
   * values in between, are found by comparing with the last image, so a read costs as much as a scan.
   */
  readonly kind: 'log' | 'state';
  /** Whether one change may stand for a whole range of keys (`delete-range`). */
  readonly rangeDeletes: boolean;
  readonly retention: FeedRetention;
}

/** How far behind a reader may fall. With both null it ends only when somebody drops the history (a compaction). */
export interface FeedRetention {
  /** Changes of the whole store, also those outside of the range that is read; null: they are not counted. */
  readonly changesMax: number | null;
  /** Milliseconds; null: age alone loses nothing. */
  readonly ageMsMax: number | null;
}

export interface PutChange {
  readonly kind: 'put';
  readonly key: Key;
  readonly value: Uint8Array;
  readonly version: Version;
  /**
   * Milliseconds since 1970; null: the record is permanent. That it ends is certain, and when only roughly: a lease may
   * have been renewed since, and no feed tells that. Its end comes as a `delete`.
   */
  readonly expiresAtMs: number | null;
}

export type SourceChange =
  | PutChange
  /** By somebody, or by its expiry. */
  | { readonly kind: 'delete'; readonly key: Key }
  /** Every key of the range went, in one step, and nobody says which there were. */
  | { readonly kind: 'delete-range'; readonly range: KeyRange };

export type FeedStep =
  | {
      readonly kind: 'changes';
      /** In order; may be none. A key may be in it several times. keyferry's own keys never are. */
      readonly changes: readonly SourceChange[];
      /**
       * All of the store up to here was in this step or in those before: where to open again. Never in the midst of a
       * transaction. It moves on although nothing happened in the range, where other keys move the store's.
       */
      readonly position: Position;
    }
  /** The store no longer has what followed the last position. Nothing more comes; open anew, and compare. */
  | { readonly kind: 'lost'; /** Remainder of a sentence; holds no secret. */ readonly why: string };

export interface FeedReadOptions {
  /** 1 or more. A wish: a step never ends within a transaction, and may hold more for that. */
  readonly changesMax: number;
  /** How long to wait for a first change, in milliseconds; 0: what is there already. */
  readonly waitMs: number;
  /** Ends the wait early, with what is there. */
  readonly signal?: StopSignal | undefined;
}

/** Close it: it may hold a connection. */
export interface OpenFeed {
  /**
   * The next step; an empty one if nothing came in time. One call at a time. Repeated reads reach every position that
   * `head` had returned before, also when no key of the range moved.
   * @throws {KeyferryError} of the store. The next call goes on behind the last step that was returned.
   */
  read(options: FeedReadOptions): Promise<FeedStep>;
  /**
   * Everything up to a position of this feed is stored where it was carried to, so that the store need not keep it any
   * longer. To open before it is then told as lost. Absent: the store keeps nothing for a feed.
   */
  confirm?(position: Position): void;
  close(): Promise<void>;
}

/** Positions of a feed are its own: they need not be those of `ReadableStore.head`. */
export interface ChangeFeed {
  readonly capabilities: FeedCapabilities;
  /** Every change that was acknowledged before the call lies at or before it: read with the strongest consistency. */
  head(): Promise<Position>;
  /** Whether a reader that stands at `position` has been given everything up to `mark`. */
  hasReached(position: Position, mark: Position): boolean;
  /** Changes of the whole store from `position` to `mark`, as an upper bound, 0 if reached; null: nobody can tell. */
  changesBetween(position: Position, mark: Position): number | null;
  /** What came after `after`, in `range`. A position that was lost is told by the first read. */
  open(range: KeyRange, after: Position): Promise<OpenFeed>;
  /**
   * Of what the store's own log told somebody else, all that a reader who stands at `position` may not have been given yet,
   * in the same order; null: nobody has read anything. What holds nothing to carry is never among it: keyferry's own keys,
   * and the log of another store. Absent: nobody is called by this store's log.
   */
  unread?(position: Position | null, notices: readonly FeedNotice[]): Promise<readonly FeedNotice[]>;
  /** What asking for its head will need and make: for plans, which write nothing. Absent: neither. */
  foresee?(): Promise<FeedForesight>;
  /** What the store keeps for the feed until it is confirmed; null: nothing yet. Absent: it never does. */
  backlog?(): Promise<FeedBacklog | null>;
  /** Takes away what the feed made in the store for itself; every position is lost then. Harmless to repeat. */
  end?(): Promise<void>;
}

/** One record of a store's log, as somebody who reads that log was told of it: that something happened, and never what. */
export interface FeedNotice {
  /** The log, by the store's own name for it. */
  readonly log: string;
  /** Of the record: in order within each part of the log. */
  readonly number: string;
  /** What names the record that changed, as JSON of the store. */
  readonly keys: Readonly<Record<string, unknown>>;
}

/** Remainders of sentences; they hold no secret. */
export interface FeedForesight {
  /** Why it could not tell its changes as it is; null: it can. */
  readonly lacks: string | null;
  /** What it makes in the store, and what that costs the store's users; null: nothing. */
  readonly makes: string | null;
}

/** History that a store keeps for a feed, on its own disk. */
export interface FeedBacklog {
  readonly bytes: number;
  /** So many more, and the store drops it, and the position with it; null: it fills its disk first. */
  readonly bytesLeft: number | null;
}

/** A store is written by two tails at most: towards the target, and after a cutover back towards the source. */
export type TailName = 'forward' | 'reverse';

export type TailChange =
  | { readonly kind: 'put'; readonly key: Key; readonly value: Uint8Array; readonly expiresAtMs: number | null }
  | { readonly kind: 'delete'; readonly key: Key };

export type TailOutcome =
  | { readonly kind: 'written'; readonly version: Version }
  /** It is not there, whoever took it away. */
  | { readonly kind: 'deleted' }
  /** The store can never take this record as it is (size, key form). What was there before is there still. */
  | { readonly kind: 'refused'; readonly detail: string };

/** What a store remembers of a tail that writes to it. */
export interface TailRecord {
  /** Of the owner. */
  readonly fence: Fence;
  /** Everything up to here is in this store; null: none was stored yet. */
  readonly position: Position | null;
}

/** The one owner's way to write. */
export interface TailWriter {
  /**
   * Makes all changes, unconditionally, in order, under the fence and epoch of the claim, and stores the position: with
   * them in one transaction where `atomic`, else after them. A put clears the key's tombstone; a delete of the forward
   * tail writes one, also where no record is, and one of the reverse tail does not. `position` null: the stored one
   * stays. One outcome for each change. No key twice, at most `changesMax` of them, one call at a time.
   *
   * Harmless to repeat after a failure, and only the same call may follow one. A request that is late changes nothing
   * once a later one was answered: where `fencing`, each compares the state in which its writer left the tail's record.
   * @throws {KeyferryError} `fence.lost` when the store holds another fence or epoch; where `atomic`, nothing was
   *   changed then.
   */
  apply(changes: readonly TailChange[], position: Position | null): Promise<readonly TailOutcome[]>;
}

export type TailClaim =
  | { readonly kind: 'claimed'; readonly writer: TailWriter; readonly position: Position | null }
  /** The store holds a fence as high or higher for this tail, or another epoch. */
  | { readonly kind: 'refused'; readonly fence: Fence | null; readonly epoch: Fence | null };

export interface TailCapabilities {
  /** Changes and position are one transaction. */
  readonly atomic: boolean;
  /** The store itself refuses an owner that was replaced; false: one that stood still may still write once. */
  readonly fencing: boolean;
  /** Changes of one `apply`. */
  readonly changesMax: number;
}

/** A migration's tails in the store that they write to. Their records are control keys: dropped with the others. */
export interface TailControl {
  readonly capabilities: TailCapabilities;
  /** Linearizable. Null: the tail was never claimed, or its record was dropped. */
  readTail(tail: TailName): Promise<TailRecord | null>;
  /** Raises the tail's fence and hands out its writer. The position stays as it is. A repeat with the same fence is refused. */
  claimTail(tail: TailName, fence: Fence, epoch: Fence): Promise<TailClaim>;
  /** What stands in the way of a tail, as the remainder of a sentence; null: nothing that is known. Writes nothing. */
  lacks?(): Promise<string | null>;
}
