/** What a table in an SQLite file can do. */
import type { TargetCapabilities } from '@keyferry/core';

export const sqliteCapabilities: TargetCapabilities = {
  // Keys are BLOBs, which SQLite compares by memcmp (sqlite.org/datatype3.html, 4.1).
  orderedScan: true,
  pinnedView: true,
  expiry: true,
  positionIsContent: false,
  hidesKeys: null,
  lossyText: false,
  fencing: true,
  // Not SQLite's limits: a batch holds the file's only write lock, and other writers wait for it.
  batchKeysMax: 500,
  batchBytesMax: 8 * 1024 * 1024,
  // SQLITE_MAX_LENGTH is 10^9 bytes for a whole row (sqlite.org/limits.html, 1); the other columns need a few.
  recordBytesMax: 999_000_000,
  emptyKeys: true,
  parentKeys: true,
  unfit: null,
  // Keyferry's own keys are in tables of their own.
  reservedPrefix: null,
  // A row past its expiry is not read, whether it was removed or not.
  expiryToleranceMs: 0,
};
