/**
 * Marks: what a batch wrote, in one item that is written in the batch's own transaction. A record is this migration's
 * own, and nobody changed it since, if the newest mark of its key has the version that it has now.
 *
 * One mark answers for all records of a batch, so it costs a fraction of a write unit a record, and the records themselves
 * carry nothing of keyferry's. Keys are in full: what a migration created is then found without reading the table.
 */
import { keyFromBytes, keyToBytes, type Key, type Version } from '@keyferry/core';

/** gone: deleted by the migration. back: put back, so that the deletion is no longer one. */
export type MarkKind = 'created' | 'replaced' | 'gone' | 'back';

export interface MarkEntry {
  readonly key: Key;
  readonly kind: MarkKind;
  /** What the record is since; null where there is none. */
  readonly version: Version | null;
}

const kinds: readonly MarkKind[] = ['created', 'replaced', 'gone', 'back'];
const versionBytes = 16;
const headBytes = 1 + 2 + versionBytes;
const noVersion = '0'.repeat(2 * versionBytes);

/** Each entry: its kind in a byte, the length of its key in two, its version in 16, its key. */
export function encodeMark(entries: readonly MarkEntry[]): Uint8Array {
  const bytes = Buffer.alloc(entries.reduce((sum, { key }) => sum + headBytes + key.length, 0));
  let at = 0;
  for (const { key, kind, version } of entries) {
    bytes.writeUInt8(kinds.indexOf(kind), at);
    bytes.writeUInt16BE(key.length, at + 1);
    bytes.write(version ?? noVersion, at + 3, 'hex');
    bytes.set(keyToBytes(key), at + headBytes);
    at += headBytes + key.length;
  }
  return bytes;
}

/** Null: not written by `encodeMark`. */
export function decodeMark(body: Uint8Array): readonly MarkEntry[] | null {
  const bytes = Buffer.from(body.buffer, body.byteOffset, body.byteLength);
  const entries: MarkEntry[] = [];
  let at = 0;
  while (at < bytes.length) {
    if (at + headBytes > bytes.length) return null;
    const kind = kinds[bytes.readUInt8(at)];
    const end = at + headBytes + bytes.readUInt16BE(at + 1);
    if (kind === undefined || end > bytes.length) return null;
    const version = bytes.toString('hex', at + 3, at + headBytes);
    const key = keyFromBytes(bytes.subarray(at + headBytes, end));
    entries.push({ key, kind, version: version === noVersion ? null : (version as Version) });
    at = end;
  }
  return entries;
}
