/**
 * What Consul can do, and its limits at default settings. The limits were measured on 1.8.7.
 *
 * A transaction is the only write that can compare a fence, so what fits into one decides: 64 operations, and a body of
 * 512 KiB with all values in base64 (`limits.txn_max_req_len`). A value of 512 KiB (`limits.kv_max_value_size`) fits into
 * none; the largest that does is about 378 KiB, unless the server was told to take more and the store says so.
 */
import { keyToText, type Key, type StoreCapabilities, type TargetCapabilities } from '@keyferry/core';
import { unfitKey } from './key-form.ts';
import type { ValueForm } from './value-form.ts';

export const operationsMax = 64;
/** Fence, epoch, mark, and that no tombstone was ever written. */
export const guardOperations = 4;
/** A put compares its key with one operation, which also writes it. Where there are tombstones, a batch takes two transactions. */
export const batchKeysMax = operationsMax - guardOperations;

export const defaultTransactionBytes = 512 * 1024;
/** `kv_max_value_size`, which a value in a transaction must keep to as well. */
const valueBytesMax = 512 * 1024;
/** Of a body, for its guard and for what stands around keys and values. */
const overheadBytes = 8 * 1024;

export const defaultReservedPrefix = '_keyferry/';

/** @param hasToken what a token may not read is left out of listings, and 1.8 does not say so */
export function consulSourceCapabilities(hasToken: boolean): StoreCapabilities {
  return {
    orderedScan: true,
    pinnedView: true,
    expiry: false,
    positionIsContent: false,
    hidesKeys: hasToken ? 'keys that the ACL token may not read' : null,
    lossyText: false,
    // One listing.
    readWhole: true,
  };
}

export function consulTargetCapabilities(
  reservedPrefix: Key,
  transactionBytes: number,
  form: ValueForm,
): TargetCapabilities {
  const recordBytesMax = recordBytesMaxOf(transactionBytes);
  return {
    ...consulSourceCapabilities(false),
    fencing: true,
    batchKeysMax,
    batchBytesMax: Math.floor(recordBytesMax * 0.95),
    recordBytesMax,
    emptyKeys: false,
    parentKeys: true,
    unfit: ({ key, value }) => unfitKey(key) ?? unfitSize(key, value, transactionBytes) ?? form.unfit(value),
    reservedPrefix,
    expiryToleranceMs: 0,
    origins: true,
  };
}

export function recordBytesMaxOf(transactionBytes: number): number {
  return Math.min(valueBytesMax, Math.floor(((transactionBytes - overheadBytes) * 3) / 4));
}

/** A long key stands twice in a transaction, with its tombstone's, and escaped. */
function unfitSize(key: Key, value: Uint8Array, transactionBytes: number): string | null {
  if (2 * key.length < overheadBytes / 4) return null; // what recordBytesMax leaves room for
  const keyBytes = 2 * Buffer.byteLength(JSON.stringify(keyToText(key)));
  const fits = keyBytes + 4 * Math.ceil(value.length / 3) + overheadBytes / 2 <= transactionBytes;
  return fits ? null : 'with its key it is larger than a transaction';
}
