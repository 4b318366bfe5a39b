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
import type { Key, KeyRange } from '../model/key.ts';
import type { Position } from '../model/position.ts';
import type { Version } from '../model/record.ts';
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

export interface OnlineSource {
  readonly role: 'source';
  ask(key: Key, request: OnlineSourceRequest): Promise<OnlineSourceAnswer>;
  /** Records of a range, ascending by bytes, in pages. */
  list(range: KeyRange): AsyncIterable<readonly OnlineRecord[]>;
  /** Whether a record with this version came to be after the store was at that position. */
  cameAfter(version: Version, position: Position): boolean;
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
  close(): Promise<void>;
}
