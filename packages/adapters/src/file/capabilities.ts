/** What a file source can do: the spool puts any order into byte order and keeps what was read. */
import type { StoreCapabilities } from '@keyferry/core';

export const fileCapabilities: StoreCapabilities = { orderedScan: true, pinnedView: true, expiry: true };
