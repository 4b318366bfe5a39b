/** What a snapshot file of etcd v3 can do; as a target, records wait in an SQLite file until it is written. */
import { keyFromText, type StoreCapabilities, type TargetCapabilities } from '@keyferry/core';
import { defaultLeaseBucketMs, defaultReservedPrefix } from '../etcd-v3/capabilities.ts';
import { stagedCapabilities } from '../written-once/capabilities.ts';

export const reservedPrefix = keyFromText(defaultReservedPrefix);

/** A lease counts in whole seconds and lives 2 at least, from when a server starts on the file. */
const leasePrecisionMs = 2000;

export const etcdV3SnapshotCapabilities: StoreCapabilities = {
  orderedScan: true,
  pinnedView: true,
  expiry: true,
  // The digest of the file.
  positionIsContent: true,
  hidesKeys: null,
  lossyText: false,
};

export function etcdV3SnapshotTargetCapabilities(leaseBucketMs = defaultLeaseBucketMs): TargetCapabilities {
  return {
    ...stagedCapabilities,
    ...etcdV3SnapshotCapabilities,
    // --max-request-bytes limits requests, and none is made here.
    recordBytesMax: stagedCapabilities.recordBytesMax,
    emptyKeys: false,
    parentKeys: true,
    unfit: null,
    // A server that is restored may have been, or may become, a target of keyferry's.
    reservedPrefix,
    expiryToleranceMs: leaseBucketMs + leasePrecisionMs,
    leaseBucketMs,
  };
}
