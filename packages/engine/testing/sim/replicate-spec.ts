/** The migration of simulated replications: small chunks, so that a crash falls between two of them. */
import { keyFromText } from '@keyferry/core';
import { memorySpec } from '../memory-spec.ts';

export const requestLifeMs = 2000;

export const replicateSpec = memorySpec({
  strategy: 'replicate',
  replicate: { pauseMaxMs: 20_000, requestLifeMs },
  rule: { sourcePrefix: keyFromText('src/'), targetPrefix: keyFromText('dst/') },
  guards: { deleteShareMax: 1, deletesMax: 1000 },
  limits: { chunkKeysMax: 6, chunkBytesMax: 1_000_000, createRowsMax: 1000 },
});
