/** Snapshot files as a server might have saved them, with any history of revisions: for tests of what reads them. */
import { createHash } from 'node:crypto';
import type { Key } from '@keyferry/core';
import {
  encodeLease,
  keyValueBytes,
  revisionBytes,
  writeBig,
  writeKeyValue,
  writeRevision,
} from '../src/etcd-v3-snapshot/key-value.ts';
import { fileOf, type Entries } from './bbolt-memory-file.ts';

/** One revision after another, from 2 on. */
export type Revised =
  { readonly put: Key; readonly value: Uint8Array; readonly lease?: number } | { readonly delete: Key };

/** @param leases seconds by id */
export function snapshotOf(history: readonly Revised[], leases: ReadonlyMap<number, number> = new Map()): Buffer {
  const granted = [...leases].toSorted(([a], [b]) => a - b);
  return sealed(
    fileOf({
      key: history.map((each, i) => entryOf(each, i + 2)),
      lease: granted.map(([id, seconds]) => {
        const name = Buffer.alloc(8);
        writeBig(name, 0, id);
        return [name, encodeLease(id, seconds)] as const;
      }),
      meta: [],
    }),
  );
}

/** With the digest behind it. */
export function sealed(image: Buffer): Buffer {
  return Buffer.concat([image, createHash('sha256').update(image).digest()]);
}

function entryOf(each: Revised, revision: number): Entries[number] {
  const name = Buffer.alloc(revisionBytes);
  writeRevision(name, 0, revision);
  if ('delete' in each) {
    const key = Buffer.from(each.delete, 'latin1');
    return [Buffer.concat([name, Buffer.from('t')]), Buffer.concat([Buffer.of(0x0a, key.length), key])];
  }
  const key = Buffer.from(each.put, 'latin1');
  const bytes = Buffer.concat([key, each.value]);
  const value = { valueStart: key.length, valueEnd: bytes.length };
  const record = { bytes, keyStart: 0, keyEnd: key.length, ...value, revision, lease: each.lease ?? 0 };
  const message = Buffer.alloc(keyValueBytes(record));
  writeKeyValue(message, 0, record);
  return [name, message];
}
