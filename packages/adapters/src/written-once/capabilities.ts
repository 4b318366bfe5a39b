/** What a staging can do (staging.ts), whatever is made of it in the end. */
import type { TargetCapabilities } from '@keyferry/core';
import { sqliteCapabilities } from '../sqlite/capabilities.ts';

export const stagedCapabilities: TargetCapabilities = {
  ...sqliteCapabilities,
  // Nobody else waits for its lock, a batch is one row, and each batch waits for the disk: larger ones than for a table.
  batchKeysMax: 1000,
};
