/** What an etcd v2 source can do: it answers once, atomically; the spool makes that answer ordered and repeatable. */
import type { StoreCapabilities } from '@keyferry/core';

export const etcdV2Capabilities: StoreCapabilities = { orderedScan: true, pinnedView: true, expiry: true };
