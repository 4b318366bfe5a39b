/**
 * Where keyferry's own keys lie in the target, and what they hold. Nothing else writes or reads the layout.
 *
 *     <reserved><migration>/epoch                                        fence of the whole migration
 *     <reserved><migration>/fence/<chunk>                                fence of one chunk
 *     <reserved><migration>/done                                         done marker, a JSON document
 *     <reserved><migration>/lock                                         held by a session while a run works; who, a JSON document
 *     <reserved><migration>/tail/<name>                                  a tail: fence, position, number of its last write
 *     <reserved><migration>/tomb/<key>                                   tombstone; the value is not looked at
 *     <reserved><migration>/entombed                                     there are tombstones, or were; set with each of them
 *     <reserved><migration>/from/<key>                                   origin of a record that was copied online
 *     <reserved><migration>/gone/<key>                                   a record that the migration deleted; the attempt
 *     <reserved><migration>/mark/<attempt>/<chunk>/<token>/<sequence>    one a transaction that wrote records, empty
 *     <reserved><migration>/back/<unique>                                one a transaction that put own records back
 *
 * All keys of a transaction share its index, so a record was written by keyferry and not touched since if and only if its
 * ModifyIndex is a mark's, and it was not there before if its CreateIndex is the same. One key a transaction, not one a
 * record. Names are percent-encoded, so that none can reach into another's keys; numbers have a fixed width.
 */
import {
  fenceFromText,
  fenceToText,
  keyForDisplay,
  KeyferryError,
  type ChunkId,
  type Fence,
  type Key,
  type MigrationId,
  type TailName,
} from '@keyferry/core';
import type { ConsulEntry } from './entry.ts';

export class ControlKeys {
  readonly reservedPrefix: Key;
  readonly epoch: Key;
  readonly done: Key;
  readonly lock: Key;
  /** Prefixes, each with a slash at its end. */
  readonly fences: Key;
  readonly tails: Key;
  /** As long as it is absent, there is no tombstone to be looked for (SPEC R124). */
  readonly entombed: Key;
  readonly tombs: Key;
  readonly origins: Key;
  readonly gones: Key;
  readonly backs: Key;
  /** Of all attempts. */
  readonly marks: Key;

  constructor(reservedPrefix: Key, migration: MigrationId) {
    this.reservedPrefix = reservedPrefix;
    const base = `${reservedPrefix}${encodeURIComponent(migration)}/`;
    this.epoch = `${base}epoch` as Key;
    this.done = `${base}done` as Key;
    this.lock = `${base}lock` as Key;
    this.fences = `${base}fence/` as Key;
    this.tails = `${base}tail/` as Key;
    this.entombed = `${base}entombed` as Key;
    this.tombs = `${base}tomb/` as Key;
    this.origins = `${base}from/` as Key;
    this.gones = `${base}gone/` as Key;
    this.backs = `${base}back/` as Key;
    this.marks = `${base}mark/` as Key;
  }

  fence(chunk: ChunkId): Key {
    return `${this.fences}${encodeURIComponent(chunk)}` as Key;
  }

  tail(name: TailName): Key {
    return (this.tails + name) as Key;
  }

  tomb(key: Key): Key {
    return (this.tombs + key) as Key;
  }

  origin(key: Key): Key {
    return (this.origins + key) as Key;
  }

  gone(key: Key): Key {
    return (this.gones + key) as Key;
  }

  /** @param unique so that two processes that go back at once share none */
  back(unique: string): Key {
    return (this.backs + unique) as Key;
  }

  /** The marks of one chunk in one attempt, by all who ever claimed it then; a prefix. */
  chunkMarks(chunk: ChunkId, attempt: number): Key {
    return `${this.marks}${fixed(attempt)}/${encodeURIComponent(chunk)}/` as Key;
  }

  mark(chunk: ChunkId, { attempt, token }: Fence, sequence: number): Key {
    return `${this.chunkMarks(chunk, attempt)}${fixed(token)}/${fixed(sequence)}` as Key;
  }
}

export function attemptValue(attempt: number): Uint8Array {
  return Buffer.from(fixed(attempt), 'latin1');
}

export function fenceValue(fence: Fence): Uint8Array {
  return Buffer.from(fenceToText(fence), 'latin1');
}

/** @throws {KeyferryError} `fence.unreadable`: what is there was not written by keyferry. */
export function fenceOf(store: string, entry: ConsulEntry | null): Fence | null {
  if (entry === null) return null;
  const fence = fenceFromText(Buffer.from(entry.value).toString('latin1'));
  if (fence !== null) return fence;
  throw new KeyferryError('fence.unreadable', { store, where: keyForDisplay(entry.key) });
}

const fixed = (number: number): string => String(number).padStart(10, '0');
