/**
 * What etcd v3 can do, and its limits at default flags. The limits were measured on 3.3.25, 3.4.23 and 3.5.16.
 *
 * A server that runs with lower limits (`--max-txn-ops`, `--max-request-bytes`) does not say so. It refuses a request as
 * a whole, and the writer then cuts its batches in halves until they pass: see chunk-writer.ts.
 */
import type { Key, TargetCapabilities } from '@keyferry/core';

/**
 * Of 128 operations, an inner transaction needs 2 (the longest of its lists), and what it has counts against the outer
 * list that it stands in: 1 mark + 125 records + 2 = 128; with 126 records it is "too many operations".
 */
export const batchKeysMax = 125;
/** `--max-request-bytes`, of the whole encoded request. */
export const requestBytesMax = 1_572_864;
/** Leaves room for keys, which each stand in a request five times. */
const batchBytesMax = 1_400_000;
/** Alone in its request; with a key of more than 4 KiB a record of this size may be refused after all. */
export const recordBytesMax = requestBytesMax - 24 * 1024;
export const defaultReservedPrefix = '_keyferry/';
export const defaultLeaseBucketMs = 60_000;
/** A lease counts in whole seconds, lives 2 at least, and its keys go up to half a second after it ended. */
const leasePrecisionMs = 2000;

export function etcdV3Capabilities(reservedPrefix: Key, leaseBucketMs: number): TargetCapabilities {
  return {
    orderedScan: true,
    pinnedView: true,
    expiry: true,
    positionIsContent: false,
    hidesKeys: null,
    lossyText: false,
    fencing: true,
    batchKeysMax,
    batchBytesMax,
    recordBytesMax,
    emptyKeys: false,
    parentKeys: true,
    unfit: null,
    reservedPrefix,
    expiryToleranceMs: leaseBucketMs + leasePrecisionMs,
    leaseBucketMs,
    origins: true,
  };
}
