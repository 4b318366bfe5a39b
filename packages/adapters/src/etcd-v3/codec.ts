/**
 * Keys and ranges as etcd v3 wants them on the wire.
 *
 * A core `Key` is a string of bytes, so it crosses as latin1 in both directions: one native call, no loop in JavaScript.
 * Two of etcd's own conventions are hidden here and nowhere else: it has no empty key, and in `range_end` the single
 * byte 0 means "to the last key" and not that key (etcd api docs, KV.Range).
 */
import { prefixEnd, type Key, type KeyRange } from '@keyferry/core';

export interface WireRange {
  readonly key: Buffer;
  readonly range_end: Buffer;
}

const zero = Buffer.from([0]);

export function keyToBuffer(key: Key | string): Buffer {
  return Buffer.from(key, 'latin1');
}

/** Node's own slice, which its types leave out: half the cost of `toString` with a name to look up. */
interface Latin1 {
  latin1Slice(start: number, end: number): string;
}

export function keyFromBuffer(bytes: Buffer): Key {
  return keyFromSpan(bytes, 0, bytes.length);
}

export function keyFromSpan(bytes: Buffer, start: number, end: number): Key {
  return (bytes as Buffer & Latin1).latin1Slice(start, end) as Key;
}

/** Null for a range that can hold no key of etcd's. */
export function rangeToWire({ start, end }: KeyRange): WireRange | null {
  if (end !== null && (end <= start || end <= '\0')) return null;
  return { key: start === '' ? zero : keyToBuffer(start), range_end: end === null ? zero : keyToBuffer(end) };
}

/** A key of `range`, to name in a read that wants the header alone: a user may have no right to any other. */
export function anyKeyOf(range: KeyRange): Buffer {
  return range.start === '' ? zero : keyToBuffer(range.start);
}

/** What is left of `range` without the keys under a prefix: none, one or two ranges, in order. */
export function rangeWithout(range: KeyRange, hole: KeyRange): readonly KeyRange[] {
  const parts: KeyRange[] = [];
  const below = range.end === null || range.end > hole.start ? hole.start : range.end;
  if (below > range.start) parts.push({ start: range.start, end: below });
  if (hole.end === null) return parts;
  const above = range.start > hole.end ? range.start : hole.end;
  if (range.end === null || range.end > above) parts.push({ start: above, end: range.end });
  return parts;
}

/** The keys that have a key of `range` behind `prefix`, which does not end in the byte 255. */
export function rangeBelow(prefix: Key, { start, end }: KeyRange): KeyRange {
  return { start: (prefix + start) as Key, end: end === null ? prefixEnd(prefix) : ((prefix + end) as Key) };
}
