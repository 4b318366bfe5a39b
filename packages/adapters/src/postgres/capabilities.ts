/** What tables of PostgreSQL can do. */
import type { Key, StoredRecord, TargetCapabilities } from '@keyferry/core';

/** Where keyferry keeps its own tables, unless the configuration says another schema. */
export const defaultSchema = 'keyferry';

export type Unfit = (record: Pick<StoredRecord, 'key' | 'value'>) => string | null;

export function postgresCapabilities(unfit: Unfit): TargetCapabilities {
  return {
    // Sorted by the server as bytes: bytea, or text under the collation "C".
    orderedScan: true,
    // Read in one transaction of isolation level REPEATABLE READ.
    pinnedView: true,
    expiry: false,
    positionIsContent: false,
    hidesKeys: null,
    lossyText: false,
    fencing: true,
    origins: true,
    // Not PostgreSQL's limits: what a batch changes is locked until it ends, and others may wait for it.
    batchKeysMax: 500,
    batchBytesMax: 8 * 1024 * 1024,
    // A field is at most 1 GiB (postgresql.org/docs/15/limits.html), and a record passes through several forms of it.
    recordBytesMax: 256 * 1024 * 1024,
    emptyKeys: false,
    parentKeys: true,
    unfit,
    // keyferry's own keys are in tables of their own.
    reservedPrefix: null,
    expiryToleranceMs: 0,
  };
}

/** As far as it can be told without knowing the tables: for pages that describe the adapter. */
export const describedCapabilities: TargetCapabilities = postgresCapabilities(({ key }) =>
  key === ('' as Key) ? 'the key is empty' : null,
);
