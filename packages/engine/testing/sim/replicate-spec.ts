/** The migration of simulated replications: small chunks, so that a crash falls between two of them. */
import { keyFromText, unlimited, type MigrationId, type MigrationSpec } from '@keyferry/core';

export const requestLifeMs = 2000;

export const replicateSpec: MigrationSpec = {
  migration: 'shop' as MigrationId,
  strategy: 'replicate',
  replicate: { pauseMaxMs: 20_000, requestLifeMs },
  sourceStore: 'old',
  targetStore: 'new',
  rule: { sourcePrefix: keyFromText('src/'), targetPrefix: keyFromText('dst/') },
  transform: null,
  program: null,
  onConflict: 'fail',
  prune: false,
  inScope: () => true,
  guards: { deleteShareMax: 1, deletesMax: 1000 },
  keepBefore: true,
  requireEmpty: null,
  workers: 2,
  limits: { chunkKeysMax: 6, chunkBytesMax: 1_000_000, createRowsMax: 1000 },
  runLimits: { ...unlimited, deadLettersMax: 1000, functions: 1 },
  planMaxAgeMs: 86_400_000,
  isSensitive: () => false,
  configDigest: 'config',
  rulesDigest: 'rules',
  selection: null,
  keyferryVersion: '0.1.0',
};
