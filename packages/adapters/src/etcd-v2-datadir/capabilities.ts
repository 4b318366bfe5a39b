/** What a v2 data directory can do: it holds one state, and the spool makes that ordered and repeatable. */
import type { StoreCapabilities } from '@keyferry/core';

export const etcdV2DatadirCapabilities: StoreCapabilities = {
  orderedScan: true,
  pinnedView: true,
  expiry: true,
  // Of one cluster: the identity tells which.
  positionIsContent: false,
  // Hidden names are there like all others; those that are left out are counted (`key.hidden`).
  hidesKeys: null,
  // Snapshots are written by encoding/json, which puts U+FFFD for what is not UTF-8.
  lossyText: true,
};
