/**
 * Online stores: source and target as an application's instance uses them while both hold records.
 *
 * What is asked is decided by core (machines/online/client-operation.ts); a store carries out one request at a time and
 * says what it found. Every read is linearizable. A request that failed may have happened: whoever asked must not repeat
 * it, but count it as unknown (SPEC R27), unless the error is one that `neverHappened` knows.
 */
import type { SwitchEpoch } from '../machines/online/barrier.ts';
import type { SourceAnswer, SourceRequest, TargetAnswer, TargetRequest } from '../machines/online/client-operation.ts';
import type { TargetEntry } from '../machines/online/list-merge.ts';
import type { TargetMove } from '../machines/online/watch-course.ts';
import type { Key, KeyRange } from '../model/key.ts';
import type { Position } from '../model/position.ts';
import type { Version } from '../model/record.ts';
import type { FeedReadOptions } from './change-feed.ts';
import type { SwitchVersion } from './switch.ts';

export type OnlineSourceRequest = SourceRequest<Uint8Array>;
export type OnlineSourceAnswer = SourceAnswer<Uint8Array>;
export type OnlineTargetRequest = TargetRequest<Uint8Array>;
export type OnlineTargetAnswer = TargetAnswer<Uint8Array>;

export interface OnlineRecord {
  readonly key: Key;
  readonly value: Uint8Array;
  readonly version: Version;
}

export interface OnlineTargetRecord extends OnlineRecord {
  /** The version that it has in the source, if backfill put it there and nobody wrote it since. */
  readonly copiedFrom: Version | null;
}

/** What the switch said when an operation began. */
export interface SeenSwitch {
  readonly epoch: SwitchEpoch;
  /** Of its record; null: nothing was ever announced. */
  readonly version: SwitchVersion | null;
}

/** What happened to a key of the source: by an application, by the reverse tail, or because its TTL had ended. */
export interface SourceMove {
  readonly key: Key;
  readonly change: { readonly kind: 'put'; readonly record: OnlineRecord } | { readonly kind: 'delete' };
  readonly at: Position;
}

/** In order, whole transactions. Of a target, keys of keyferry's own are told only as what they say of the records'. */
export type MoveStep<M> =
  | {
      readonly kind: 'moves';
      readonly moves: readonly M[];
      /** All of the store up to here was in this step or in those before. */
      readonly position: Position;
    }
  /** What followed is gone, or cannot be told key by key. Nothing more comes. */
  | { readonly kind: 'lost'; /** Remainder of a sentence; holds no secret. */ readonly why: string };

/** Read as an open feed is (change-feed.ts). Close it: it may hold a connection. */
export interface OpenMoves<M> {
  read(options: FeedReadOptions): Promise<MoveStep<M>>;
  close(): Promise<void>;
}

export interface Moves<M> {
  /**
   * `log`: every change. `state`: by comparing what is there with what was there; of several changes of a key between two
   * reads the last one is told, and backfill's copies are left out. See watch-course.ts for what follows from that.
   */
  readonly kind: 'log' | 'state';
  /** Whether a reader that stands at `position` has been given everything up to `mark`. */
  hasReached(position: Position, mark: Position): boolean;
  /**
   * What came after a position; one that was lost is told by the first read. Null: whatever is acknowledged once this has
   * resolved, and nothing that was acknowledged before the call.
   */
  open(range: KeyRange, after: Position | null): Promise<OpenMoves<M>>;
  /** Takes away what the store keeps for whoever is told of its changes; absent: nothing. Nobody is told any more. */
  end?(): Promise<void>;
}

export type SourceMoves = Moves<SourceMove>;
export type TargetMoves = Moves<TargetMove<OnlineTargetRecord>>;

export interface OnlineSource {
  readonly role: 'source';
  ask(key: Key, request: OnlineSourceRequest): Promise<OnlineSourceAnswer>;
  /** Records of a range, ascending by bytes, in pages. */
  list(range: KeyRange): AsyncIterable<readonly OnlineRecord[]>;
  /** Whether a record with this version came to be after the store was at that position. */
  cameAfter(version: Version, position: Position): boolean;
  /** Its changes, for watchers; absent: it cannot tell them. */
  readonly moves?: SourceMoves;
  close(): Promise<void>;
}

export interface OnlineTarget {
  readonly role: 'target';
  /** Its writes compare the version of the switch's record, because it holds the switch (SPEC R37). */
  readonly comparesSwitch: boolean;
  /** @param seen in whose mode the operation began: compared where `comparesSwitch` */
  ask(key: Key, request: OnlineTargetRequest, seen: SeenSwitch): Promise<OnlineTargetAnswer>;
  /** Keys of a range that are there or have a tombstone, ascending by bytes, all of one snapshot, in pages. */
  list(range: KeyRange): AsyncIterable<readonly TargetEntry<OnlineTargetRecord>[]>;
  /** Its changes, for watchers; absent: it cannot tell them. */
  readonly moves?: TargetMoves;
  close(): Promise<void>;
}
