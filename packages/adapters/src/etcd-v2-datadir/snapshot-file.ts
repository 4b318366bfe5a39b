/**
 * A v2 snapshot on the disk: is it whole, which state of the log is it, and what tree does it hold?
 *
 *     file = { 1 crc, 2 data }     crc: CRC-32C of data
 *     data = { 1 tree as JSON, 2 { 1 { 1 voters… }, 2 index, 3 term } }
 *
 * Read in pieces, once for the checksum and once more for the tree if it is the one to begin with.
 *
 * Source: etcd 3.4 `etcdserver/api/snap/snapshotter.go` (Read), `snappb/snap.proto`, `raft/raftpb/raft.proto`.
 */
import { isKeyferryError } from '@keyferry/core';
import { crc32c } from './crc32c.ts';
import { damaged } from './errors.ts';
import { FileWindow } from './file-window.ts';
import { FieldReader, Malformed } from './protobuf.ts';
import { readSnapshotMetadata, type RaftSnapshot } from './raft-messages.ts';
import { SnapshotTreeReader, type SnapshotTree } from './snapshot-tree.ts';

export interface SnapshotFile extends RaftSnapshot {
  readonly file: string;
  readonly bytes: number;
  /** Where its JSON lies. */
  readonly json: Span;
}

interface Span {
  readonly start: number;
  readonly end: number;
}

/** What a snapshot that is not whole is like. */
export interface BrokenSnapshot {
  readonly file: string;
  readonly offset: number;
  readonly detail: string;
}

export type CheckedSnapshot = { readonly snapshot: SnapshotFile } | { readonly broken: BrokenSnapshot };

/** @throws {KeyferryError} `file.unreadable` */
export async function checkSnapshot(file: string): Promise<CheckedSnapshot> {
  try {
    return { snapshot: await FileWindow.over(file, readSnapshot) };
  } catch (error) {
    if (!isKeyferryError(error, 'datadir.damaged')) throw error;
    const { offset, detail } = error.details;
    return { broken: { file, offset, detail } };
  }
}

/** @throws {KeyferryError} `datadir.damaged` when what the checksum guards is no tree */
export async function readSnapshotTree({ file, json }: SnapshotFile): Promise<SnapshotTree> {
  return await FileWindow.over(file, async (window) => {
    const reader = new SnapshotTreeReader();
    return await telling(window, async () => {
      await window.pieces(json.start, json.end, (bytes, start, end) => reader.write(bytes.subarray(start, end)));
      return reader.end();
    });
  });
}

async function readSnapshot(window: FileWindow): Promise<SnapshotFile> {
  const { file, size } = window;
  return await telling(window, async () => {
    if (size === 0) throw new Malformed('it is empty');
    const outer = await fieldsOf(window, { start: 0, end: size });
    const { data, crc } = { data: outer.spans.get(2), crc: outer.numbers.get(1) };
    if (data === undefined || crc === undefined || crc === 0) throw new Malformed('it holds no snapshot');
    let sum = 0;
    await window.pieces(data.start, data.end, (bytes, start, end) => (sum = crc32c(sum, bytes, start, end)));
    if (sum !== crc)
      throw new Malformed(`the checksum does not match: it is ${sum.toString(16)}, and ${crc.toString(16)} is stated`);
    const inner = await fieldsOf(window, data);
    const [json, metadata] = [inner.spans.get(1), inner.spans.get(2)];
    if (json === undefined || metadata === undefined) throw new Malformed('it holds no tree, or does not say of when');
    window.seek(metadata.start);
    const length = metadata.end - metadata.start;
    await window.fill(length);
    const point = readSnapshotMetadata(new FieldReader(window.bytes, window.start, window.start + length));
    return { file, bytes: size, json, ...point };
  });
}

interface Fields {
  readonly spans: ReadonlyMap<number, Span>;
  readonly numbers: ReadonlyMap<number, number>;
}

/** Longest tag and length of a field. */
const headBytesMax = 20;

/** The fields of a message that is too large to be seen whole: where each lies, or which number it is. */
async function fieldsOf(window: FileWindow, { start, end }: Span): Promise<Fields> {
  const spans = new Map<number, Span>();
  const numbers = new Map<number, number>();
  for (let at = start; at < end;) {
    window.seek(at);
    await window.fill(headBytesMax);
    const seen = Math.min(window.available, headBytesMax, end - at);
    const head = headAt(window.bytes, window.start, window.start + seen);
    if ('number' in head) {
      numbers.set(head.field, head.number);
      at += head.bytes;
    } else {
      const span = { start: at + head.bytes, end: at + head.bytes + head.length };
      if (span.end > end) throw new Malformed(`field ${head.field} is longer than what holds it`);
      spans.set(head.field, span);
      at = span.end;
    }
  }
  return { spans, numbers };
}

type Head =
  | { readonly field: number; readonly bytes: number; readonly number: number }
  | { readonly field: number; readonly bytes: number; readonly length: number };

/** Only numbers and bytes: a snapshot has no other fields. */
function headAt(bytes: Buffer, start: number, end: number): Head {
  let at = start;
  const varint = (): number => {
    let value = 0;
    for (let factor = 1; at < end; factor *= 128) {
      const byte = bytes[at] as number;
      at += 1;
      value += (byte & 0x7f) * factor;
      if (byte < 0x80 && Number.isSafeInteger(value)) return value;
      if (factor > 2 ** 56) break;
    }
    throw new Malformed('it has a number that does not end');
  };
  const tag = varint();
  const [field, wire] = [Math.floor(tag / 8), tag % 8];
  if (field === 0 || (wire !== 0 && wire !== 2)) throw new Malformed(`it has a field ${field} of wire type ${wire}`);
  const value = varint();
  const seen = at - start;
  return wire === 0 ? { field, bytes: seen, number: value } : { field, bytes: seen, length: value };
}

async function telling<T>(window: FileWindow, read: () => Promise<T>): Promise<T> {
  try {
    return await read();
  } catch (error) {
    throw error instanceof Malformed ? damaged(window.file, Math.max(0, window.offset), error.message, error) : error;
  }
}
