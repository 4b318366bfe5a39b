/**
 * Where keyferry's own keys lie in a v2 target, and what they hold. Nothing else writes or reads the layout.
 *
 *     <reserved><migration>/epoch                                       fence of the whole migration
 *     <reserved><migration>/fence/<chunk>                               fence of one chunk
 *     <reserved><migration>/tail/<forward or reverse>                   owner and position of a tail, and its last write
 *     <reserved><migration>/tomb/<key in base64url>                     tombstone; the value is not looked at
 *     <reserved><migration>/gone/<key in base64url>                     a record that was deleted: by which attempt
 *     <reserved><migration>/done                                        done marker of finalize, a JSON document
 *     <reserved><migration>/mark/<attempt>/<chunk>/<token>-<sequence>   what one batch writes or wrote: marks.ts
 *
 * The reserved prefix has a name that begins with an underscore: no listing above it shows what lies there.
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
import type { FoundNode } from './write-api.ts';

export class ControlKeys {
  readonly epoch: Key;
  /** Directories, without a slash at the end. */
  readonly fences: Key;
  readonly tails: Key;
  readonly tombs: Key;
  readonly gones: Key;
  readonly marks: Key;
  readonly done: Key;

  constructor(reservedPrefix: Key, migration: MigrationId) {
    const base = `${reservedPrefix}${encodeURIComponent(migration)}`;
    this.epoch = `${base}/epoch` as Key;
    this.fences = `${base}/fence` as Key;
    this.tails = `${base}/tail` as Key;
    this.tombs = `${base}/tomb` as Key;
    this.gones = `${base}/gone` as Key;
    this.marks = `${base}/mark` as Key;
    this.done = `${base}/done` as Key;
  }

  fence(chunk: ChunkId): Key {
    return `${this.fences}/${encodeURIComponent(chunk)}` as Key;
  }

  tail(tail: TailName): Key {
    return `${this.tails}/${tail}` as Key;
  }

  tomb(key: Key): Key {
    return `${this.tombs}/${nameOf(key)}` as Key;
  }

  gone(key: Key): Key {
    return `${this.gones}/${nameOf(key)}` as Key;
  }

  /** The marks of one chunk in one attempt, by all who ever claimed it then. */
  chunkMarks(chunk: ChunkId, attempt: number): Key {
    return `${this.marks}/${fixed(attempt)}/${encodeURIComponent(chunk)}` as Key;
  }

  /** Of what going back puts in the place of an own record. */
  backMark({ attempt, token }: Fence, unique: string): Key {
    return `${this.marks}/${fixed(attempt)}/back/${fixed(token)}-${unique}` as Key;
  }

  mark(chunk: ChunkId, { attempt, token }: Fence, sequence: number): Key {
    return `${this.chunkMarks(chunk, attempt)}/${fixed(token)}-${fixed(sequence)}` as Key;
  }
}

/** A whole key as one part of another. */
export const nameOf = (key: Key): string => Buffer.from(key, 'latin1').toString('base64url');

const fixed = (number: number): string => String(number).padStart(10, '0');

export function fenceValue(fence: Fence): { readonly value: Uint8Array; readonly ttlSeconds: null } {
  return { value: Buffer.from(fenceToText(fence), 'latin1'), ttlSeconds: null };
}

/**
 * @param node what a read of the key returned
 * @throws {KeyferryError} `fence.unreadable`: what is there was not written by keyferry.
 */
export function fenceOf(store: string, key: Key, node: FoundNode | null): Fence | null {
  if (node === null) return null;
  const fence = node.value === null ? null : fenceFromText(Buffer.from(node.value).toString('latin1'));
  if (fence !== null) return fence;
  throw new KeyferryError('fence.unreadable', { store, where: keyForDisplay(key) });
}
