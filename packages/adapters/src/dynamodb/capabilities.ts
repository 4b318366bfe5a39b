/** What a DynamoDB table can do. As a source it is scanned in no order and at no position; the spool makes it ordered. */
import type { Key, StoreCapabilities, TargetCapabilities } from '@keyferry/core';
import { batchBytesMax, writesMax, type WriteMode } from './limits.ts';
import { overheadBytesOf, recordBytesMaxOf, unfitFor, type Mapping } from './mapping.ts';

export function dynamoDbCapabilities({ ttl }: Pick<Mapping, 'ttl'>): StoreCapabilities {
  return {
    orderedScan: true,
    // A view keeps what it read; but it was read page by page, while others could write.
    pinnedView: false,
    expiry: ttl !== null,
    // DynamoDB has no position: what is there is digested.
    positionIsContent: true,
    hidesKeys: null,
    lossyText: false,
  };
}

export function dynamoDbTargetCapabilities(
  mapping: Mapping,
  reservedPrefix: Key,
  writes: WriteMode,
): TargetCapabilities {
  return {
    ...dynamoDbCapabilities(mapping),
    // A condition sees one item: only a transaction can compare a fence.
    fencing: writes === 'transactions',
    batchKeysMax: writesMax,
    batchBytesMax,
    recordBytesMax: recordBytesMaxOf(mapping),
    emptyKeys: false,
    parentKeys: true,
    unfit: unfitFor(mapping),
    reservedPrefix,
    billing: { itemOverheadBytes: overheadBytesOf(mapping), writes },
    // Whole seconds, rounded up. What the service has not taken away yet is not read any more.
    expiryToleranceMs: 1000,
  };
}
