/**
 * Where keyferry's own keys lie in the target, and what they hold. Nothing else writes or reads the layout.
 *
 *     <reserved><migration>/epoch                                        fence of the whole migration
 *     <reserved><migration>/fence/<chunk>                                fence of one chunk
 *     <reserved><migration>/tail/<forward or reverse>                     owner and position of a tail, and its last write
 *     <reserved><migration>/done                                         done marker, a JSON document
 *     <reserved><migration>/tomb/<key>                                   tombstone; the value is not looked at
 *     <reserved><migration>/from/<key>                                   origin of a record that was copied online
 *     <reserved><migration>/gone/<key>                                   a record that the migration deleted; the attempt
 *     <reserved><migration>/mark/<attempt>/<chunk>/<token>/<sequence>    one a transaction that wrote records, empty
 *     <reserved><migration>/back/<revision>/<sequence>                   one a transaction that put own records back, empty
 *
 * A mark tells later what a run wrote: all keys of a transaction share its revision, so a record was written by keyferry
 * and not touched since if and only if its mod_revision is a mark's. One key a transaction, not one a record.
 * What was deleted has no revision any more, so a deletion leaves a key of its own, written in the same transaction. It
 * proves that the key was deleted, and not that nobody made and deleted it again since: etcd keeps no trace of that.
 * Names are percent-encoded, so that none can reach into another's keys; numbers have a fixed width, to sort as they count.
 */
import type { IKeyValue } from 'etcd3';
import {
  fenceFromText,
  fenceToText,
  keyForDisplay,
  KeyferryError,
  prefixRange,
  type ChunkId,
  type Fence,
  type Key,
  type KeyRange,
  type MigrationId,
  type TailName,
} from '@keyferry/core';
import { keyFromBuffer, keyToBuffer } from './codec.ts';

export class ControlKeys {
  readonly reservedPrefix: Key;
  readonly epoch: Buffer;
  readonly done: Buffer;
  readonly tombPrefix: Key;
  readonly fences: KeyRange;
  readonly tombs: KeyRange;
  readonly originPrefix: Key;
  readonly origins: KeyRange;
  readonly gonePrefix: Key;
  readonly gone: KeyRange;
  readonly backs: KeyRange;
  readonly tails: KeyRange;
  /** Of all attempts. */
  readonly marks: KeyRange;
  private readonly base: string;

  constructor(reservedPrefix: Key, migration: MigrationId) {
    this.reservedPrefix = reservedPrefix;
    this.base = `${reservedPrefix}${encodeURIComponent(migration)}/`;
    this.epoch = keyToBuffer(`${this.base}epoch`);
    this.done = keyToBuffer(`${this.base}done`);
    this.tombPrefix = `${this.base}tomb/` as Key;
    this.fences = prefixRange(`${this.base}fence/` as Key);
    this.tombs = prefixRange(this.tombPrefix);
    this.originPrefix = `${this.base}from/` as Key;
    this.origins = prefixRange(this.originPrefix);
    this.gonePrefix = `${this.base}gone/` as Key;
    this.gone = prefixRange(this.gonePrefix);
    this.backs = prefixRange(`${this.base}back/` as Key);
    this.tails = prefixRange(`${this.base}tail/` as Key);
    this.marks = prefixRange(`${this.base}mark/` as Key);
  }

  fence(chunk: ChunkId): Buffer {
    return keyToBuffer(`${this.base}fence/${encodeURIComponent(chunk)}`);
  }

  tail(tail: TailName): Buffer {
    return keyToBuffer(`${this.tails.start}${tail}`);
  }

  tomb(key: Key): Buffer {
    return keyToBuffer(this.tombPrefix + key);
  }

  origin(key: Key): Buffer {
    return keyToBuffer(this.originPrefix + key);
  }

  goneKey(key: Key): Buffer {
    return keyToBuffer(this.gonePrefix + key);
  }

  /** @param revision of the store when the transaction was built, so that two processes that go back share none */
  back(revision: string, sequence: number): Buffer {
    return keyToBuffer(`${this.base}back/${revision.padStart(20, '0')}/${fixed(sequence)}`);
  }

  /** The marks of one chunk in one attempt, by all who ever claimed it then. */
  chunkMarks(chunk: ChunkId, attempt: number): KeyRange {
    return prefixRange(`${this.base}mark/${fixed(attempt)}/${encodeURIComponent(chunk)}/` as Key);
  }

  mark(chunk: ChunkId, { attempt, token }: Fence, sequence: number): Buffer {
    const { start } = this.chunkMarks(chunk, attempt);
    return keyToBuffer(`${start}${fixed(token)}/${fixed(sequence)}`);
  }
}

export function attemptValue(attempt: number): Buffer {
  return Buffer.from(fixed(attempt), 'latin1');
}

function fixed(number: number): string {
  return String(number).padStart(10, '0');
}

export function fenceValue(fence: Fence): Buffer {
  return Buffer.from(fenceToText(fence), 'latin1');
}

/**
 * @param kv what a read of the key returned, if anything
 * @throws {KeyferryError} `fence.unreadable`: what is there was not written by keyferry.
 */
export function fenceOf(store: string, kv: IKeyValue | undefined): Fence | null {
  if (kv === undefined) return null;
  const fence = fenceFromText(kv.value.toString('latin1'));
  if (fence !== null) return fence;
  throw new KeyferryError('fence.unreadable', { store, where: keyForDisplay(keyFromBuffer(kv.key)) });
}
