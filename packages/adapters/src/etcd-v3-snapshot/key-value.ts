/**
 * What etcd v3 keeps under a revision: the revision as a key, the record as a message.
 *
 *     key    8 bytes main revision, '_', 8 bytes sub revision, big-endian; a deletion ends in 't'
 *     value  mvccpb.KeyValue { 1 key, 2 create_revision, 3 mod_revision, 4 version, 5 value, 6 lease }
 *
 * By hand, into a page or out of one: there are as many as records. Source: etcd 3.4 `mvcc/revision.go`, `mvcc/mvccpb/kv.proto`;
 * the same in 3.3 to 3.6.
 */
import { copyBytes } from '../bytes.ts';

export const revisionBytes = 17;
const underscore = 0x5f;
const tombstoneMark = 0x74;
/** Revisions and lease ids of etcd's own are below 2^63, and those that JavaScript counts exactly below this. */
const exactMax = 2 ** 53;
/** Up to here shifts do, which are integers from the start to the end. */
const wordMax = 2 ** 31 - 1;

export function writeRevision(bytes: Uint8Array, at: number, main: number): void {
  writeBig(bytes, at, main);
  bytes[at + 8] = underscore;
  for (let zero = at + 9; zero < at + revisionBytes; zero += 1) bytes[zero] = 0; // of so few a call costs more
}

/** The main revision, which is 1 or more; 0: it is no revision. */
export function readRevision(bytes: Buffer, start: number, end: number): number {
  if (end - start !== revisionBytes && !isDeletion(bytes, start, end)) return 0;
  if (bytes[start + 8] !== underscore) return 0;
  const main = readBig(bytes, start);
  return main < exactMax ? main : 0;
}

/** Of a revision: whether it is that of a deletion. */
export function isDeletion(bytes: Buffer, start: number, end: number): boolean {
  return end - start === revisionBytes + 1 && bytes[end - 1] === tombstoneMark;
}

/** A record where it lies. */
export interface NewKeyValue {
  readonly bytes: Buffer;
  readonly keyStart: number;
  readonly keyEnd: number;
  readonly valueStart: number;
  readonly valueEnd: number;
  readonly revision: number;
  /** 0: none. */
  readonly lease: number;
}

/** Bytes of the message; version is 1, as of a key that was put once. */
export function keyValueBytes({ keyStart, keyEnd, valueStart, valueEnd, revision, lease }: NewKeyValue): number {
  const fields =
    blockBytes(keyEnd - keyStart) + 2 * (1 + varintBytes(revision)) + 2 + blockBytes(valueEnd - valueStart);
  return lease === 0 ? fields : fields + 1 + varintBytes(lease);
}

/** A field of bytes with tag and length; an empty one is left out, as proto3 does. */
function blockBytes(length: number): number {
  return length === 0 ? 0 : 1 + varintBytes(length) + length;
}

export function writeKeyValue(bytes: Buffer, start: number, record: NewKeyValue): void {
  const { bytes: from, keyStart, keyEnd, valueStart, valueEnd, revision, lease } = record;
  let at = start;
  if (keyEnd > keyStart) {
    at = writeVarint(bytes, writeTag(bytes, at, 0x0a), keyEnd - keyStart);
    copyBytes(from, keyStart, keyEnd, bytes, at);
    at += keyEnd - keyStart;
  }
  at = writeVarint(bytes, writeTag(bytes, at, 0x10), revision);
  at = writeVarint(bytes, writeTag(bytes, at, 0x18), revision);
  at = writeVarint(bytes, writeTag(bytes, at, 0x20), 1);
  if (valueEnd > valueStart) {
    at = writeVarint(bytes, writeTag(bytes, at, 0x2a), valueEnd - valueStart);
    copyBytes(from, valueStart, valueEnd, bytes, at);
    at += valueEnd - valueStart;
  }
  if (lease !== 0) writeVarint(bytes, writeTag(bytes, at, 0x30), lease);
}

/** leasepb.Lease { 1 ID, 2 TTL } */
export function encodeLease(id: number, ttlSeconds: number): Buffer {
  const bytes = Buffer.alloc(2 + varintBytes(id) + varintBytes(ttlSeconds));
  const at = writeVarint(bytes, writeTag(bytes, 0, 0x08), id);
  writeVarint(bytes, writeTag(bytes, at, 0x10), ttlSeconds);
  return bytes;
}

/** 64 bits, big-endian. */
export function writeBig(bytes: Uint8Array, at: number, value: number): void {
  const high = Math.floor(value / 2 ** 32);
  const low = value >>> 0;
  bytes[at] = high >>> 24;
  bytes[at + 1] = high >>> 16;
  bytes[at + 2] = high >>> 8;
  bytes[at + 3] = high;
  bytes[at + 4] = low >>> 24;
  bytes[at + 5] = low >>> 16;
  bytes[at + 6] = low >>> 8;
  bytes[at + 7] = low;
}

/** As `writeBig` wrote it, rounded from 2^53 on. */
function readBig(bytes: Uint8Array, at: number): number {
  let value = 0;
  for (let i = at; i < at + 8; i += 1) value = value * 256 + (bytes[i] as number);
  return value;
}

function varintBytes(value: number): number {
  let bytes = 1;
  let rest = value;
  for (; rest > wordMax; rest = Math.floor(rest / 128)) bytes += 1;
  for (; rest >= 128; rest >>>= 7) bytes += 1;
  return bytes;
}

function writeTag(bytes: Uint8Array, at: number, tag: number): number {
  bytes[at] = tag;
  return at + 1;
}

function writeVarint(bytes: Uint8Array, start: number, value: number): number {
  let at = start;
  let rest = value;
  for (; rest > wordMax; rest = Math.floor(rest / 128)) {
    bytes[at] = (rest % 128) | 0x80;
    at += 1;
  }
  for (; rest >= 128; rest >>>= 7) {
    bytes[at] = rest | 0x80;
    at += 1;
  }
  bytes[at] = rest;
  return at + 1;
}
