/**
 * How a batch becomes transactions: the shape of one record in a request, its size, and where to cut.
 *
 *     if fence = mine and epoch = mine
 *     then  put mark
 *           record 1:  if key is absent (or at its version) and tombstone is absent  then put  else read both
 *           record 2:  if key is at its version  then delete it and note that it is gone  else read both
           record 3:  …
 *     else  read fence and epoch
 *
 * The mark stands outside for a second reason: before 3.5.33 a full server overlooks puts in nested transactions [measured],
 * and takes them in spite of its alarm. One nested transaction a record gives each its own outcome in one round. Requests are the hot path: enum numbers
 * instead of names, values passed on uncopied, and whatever protobuf takes for granted (equal, 0) left out.
 */
import type { ICompare, IRequestOp, ITxnRequest } from 'etcd3';
import { recordBytes, type GuardedChange, type GuardedDelete, type GuardedPut, type Key } from '@keyferry/core';
import { CompareTarget } from './wire/compare-target.ts';
import { keyToBuffer } from './codec.ts';
import { attemptValue, type ControlKeys } from './control.ts';
import { batchKeysMax, recordBytesMax, requestBytesMax } from './capabilities.ts';

/** Tags, lengths and nesting of one record; the sum of all their longest forms is 109. */
const recordOverhead = 112;
/** Fence, epoch and mark with their keys, the server's own header with the user's name. */
const requestOverhead = 2048;

/** What the server is known to take; lowered when it refuses, and never raised again. */
export class BatchLimits {
  records = batchKeysMax;
  bytes = requestBytesMax;
}

export function valueIs(key: Buffer, value: Buffer): ICompare {
  return { key, target: CompareTarget.Value, value };
}

/** @param revision null: the key is absent */
export function modifiedAt(key: Buffer, revision: string | null): ICompare {
  return revision === null
    ? { key, target: CompareTarget.Create }
    : { key, target: CompareTarget.Mod, mod_revision: revision };
}

/** @param attempt of the claim: it tells a repeat that the deletion was its own */
export function deleteOperation({ key, expect }: GuardedDelete, keys: ControlKeys, attempt: number): IRequestOp {
  const wire = keyToBuffer(key);
  const gone = keys.goneKey(key);
  return {
    request_txn: {
      compare: [modifiedAt(wire, expect.version)],
      success: [{ request_delete_range: { key: wire } }, { request_put: { key: gone, value: attemptValue(attempt) } }],
      failure: [{ request_range: { key: wire, keys_only: true } }, { request_range: { key: gone } }],
    },
  };
}

/** @param lease '0': none */
export function putOperation(put: GuardedPut, keys: ControlKeys, lease: string): IRequestOp {
  const key = keyToBuffer(put.key);
  const tomb = keys.tomb(put.key);
  const value = put.value as Buffer; // the encoder takes any Uint8Array
  const expected = put.expect === 'absent' ? null : put.expect.version;
  return {
    request_txn: {
      compare: [modifiedAt(key, expected), modifiedAt(tomb, null)],
      success: [{ request_put: lease === '0' ? { key, value } : { key, value, lease } }],
      failure: [{ request_range: { key } }, { request_range: { key: tomb, keys_only: true } }],
    },
  };
}

/**
 * A transaction that never writes and is refused to a user who may not write, or not read, these keys. Its condition
 * cannot hold, and rights are checked for both branches.
 *
 * Before 3.4.42, 3.5.28 and 3.6.9 the server checks no rights inside nested transactions (CVE-2026-33343; measured on
 * 3.3.25, 3.4.23, 3.5.16), and batches are nested: without this, keyferry would write where its user may not.
 */
export function rightsProbe(changes: readonly GuardedChange[]): ITxnRequest {
  const keys: Buffer[] = [];
  let bytes = 0;
  for (const { key } of changes) {
    bytes += key.length;
    if (bytes > probeKeyBytesMax && keys.length > 0) break;
    keys.push(keyToBuffer(key));
  }
  return {
    compare: keys.slice(0, 1).map((key) => ({ key, target: CompareTarget.Mod, mod_revision: -1 })),
    success: keys.map((key) => ({ request_put: { key, value: noBytes } })),
    failure: keys.map((key) => ({ request_range: { key, count_only: true } })),
  };
}

const noBytes = Buffer.alloc(0);
const probeKeyBytesMax = 256 * 1024;

/** A change as the size of its request depends on it. */
type Sized = { readonly key: Key; readonly value?: Uint8Array };

/** At most so long is a record in a request: three times its key, twice its tombstone's, once its value. */
export function requestSize({ key, value }: Sized, keys: ControlKeys): number {
  const valueBytes = value?.length ?? 0;
  return valueBytes + 5 * key.length + 2 * keys.tombPrefix.length + recordOverhead;
}

/** Cuts a batch at the limits, in order. A record that fits into no request is in none of the parts. */
export function cutBatch(
  changes: readonly GuardedChange[],
  keys: ControlKeys,
  limits: BatchLimits,
  refuse: (index: number, detail: string) => void,
): readonly (readonly number[])[] {
  const parts: number[][] = [];
  let part: number[] = [];
  let partBytes = requestOverhead;
  for (let i = 0; i < changes.length; i += 1) {
    const change = changes[i] as GuardedChange;
    const bytes = requestSize(change, keys);
    const detail = refusalOf(change, keys);
    if (detail !== null) {
      refuse(i, detail);
      continue;
    }
    if (part.length === limits.records || (part.length > 0 && partBytes + bytes > limits.bytes)) {
      parts.push(part);
      part = [];
      partBytes = requestOverhead;
    }
    part.push(i);
    partBytes += bytes;
  }
  if (part.length > 0) parts.push(part);
  return parts;
}

/** Why the store can never take it, by its form alone; null: it may. */
export function refusalOf(change: Sized, keys: ControlKeys): string | null {
  const { key } = change;
  if (key === '') return 'the key is empty, and etcd has no such key';
  if (key.startsWith(keys.reservedPrefix))
    return `the key lies under ${keys.reservedPrefix}, where keyferry keeps its own`;
  if (recordBytes(change) > recordBytesMax) return `${recordBytes(change)} bytes, at most ${recordBytesMax}`;
  const requestBytes = requestSize(change, keys) + requestOverhead;
  return requestBytes <= requestBytesMax ? null : `a request of ${requestBytes} bytes, at most ${requestBytesMax}`;
}
