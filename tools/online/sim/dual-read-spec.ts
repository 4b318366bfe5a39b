/** A migration in which the application takes part, between memory stores: for simulated histories and for tests by cases. */
import { keyFromText, type MigrationSpec } from '@keyferry/core';
import { memorySpec } from '@keyferry/engine/testing';

/** Of applications' keys, in both stores. */
export const keyPrefix = 'app/';

const prefix = keyFromText(keyPrefix);

/** @param chunkKeysMax small, so that there are several chunks of the few keys that there are */
export function dualReadSpec(online: NonNullable<MigrationSpec['online']>, chunkKeysMax: number): MigrationSpec {
  return memorySpec({
    strategy: 'dual-read',
    online,
    rule: { sourcePrefix: prefix, targetPrefix: prefix },
    requireEmpty: 'prefix',
    limits: { chunkKeysMax, chunkBytesMax: 1_000_000, createRowsMax: 1_000_000 },
  });
}
