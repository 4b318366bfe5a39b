/**
 * What etcd v2 can do. As a source it answers once, atomically; the spool makes that answer ordered and repeatable. As a
 * target it compares one key with one request, and nothing else: no fence, no batch.
 */
import type { Key, StoreCapabilities, TargetCapabilities } from '@keyferry/core';
import { unfitForServer } from './key-form.ts';

export const etcdV2Capabilities: StoreCapabilities = {
  orderedScan: true,
  pinnedView: true,
  expiry: true,
  positionIsContent: false,
  // A recursive listing leaves out what begins with an underscore (etcd 3.4, etcdserver/api/v2store/node.go, IsHidden).
  hidesKeys: 'names below the prefix that begin with "_"',
  // Values are Go strings of any bytes; encoding/json writes what is not UTF-8 as U+FFFD.
  lossyText: true,
  // One recursive GET.
  readWhole: true,
};

/** A log entry of 10 MiB stops a 3.4 at its next start (docs/reference: measured); keys count too. */
export const recordBytesMax = 8 * 1024 * 1024;

/** No listing above it shows a name that begins with an underscore. */
export const defaultReservedPrefix = '/_keyferry/';

export function etcdV2TargetCapabilities(reservedPrefix: Key): TargetCapabilities {
  return {
    ...etcdV2Capabilities,
    fencing: false,
    // Not the server's limit, which is one: what one mark answers for.
    batchKeysMax: 128,
    batchBytesMax: 4 * 1024 * 1024,
    recordBytesMax,
    emptyKeys: false,
    parentKeys: false,
    unfit: unfitForServer,
    reservedPrefix,
    // Whole seconds, rounded up, and a sweep every half second.
    expiryToleranceMs: 1500,
  };
}
