/**
 * The migration of tests and of the simulator: `shop`, between the memory stores `old` and `new`, with nothing out of the
 * ordinary. Whoever uses it says what matters there and no more.
 */
import { unlimited, type MigrationId, type MigrationSpec } from '@keyferry/core';

export function memorySpec(said: Partial<MigrationSpec> & Pick<MigrationSpec, 'strategy' | 'rule'>): MigrationSpec {
  return {
    migration: 'shop' as MigrationId,
    sourceStore: 'old',
    targetStore: 'new',
    transform: null,
    program: null,
    onConflict: 'fail',
    prune: false,
    inScope: () => true,
    guards: { deleteShareMax: 0.1, deletesMax: 1000 },
    keepBefore: true,
    requireEmpty: null,
    workers: 2,
    limits: { chunkKeysMax: 10, chunkBytesMax: 1_000_000, createRowsMax: 1_000_000 },
    runLimits: { ...unlimited, deadLettersMax: 1000, functions: 1 },
    planMaxAgeMs: 86_400_000,
    isSensitive: () => false,
    configDigest: 'config',
    rulesDigest: 'rules',
    selection: null,
    keyferryVersion: '0.1.0',
    ...said,
  };
}
