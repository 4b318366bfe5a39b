/** Flags of the local cloud. */
import { Flags } from '@oclif/core';
import { durationFlag } from './duration.ts';

export const functionTimeoutFlag = durationFlag({
  summary: 'How long a function may take before it is killed, as its timeout in AWS; 1m by default.',
  env: 'KEYFERRY_FUNCTION_TIMEOUT',
});

/** Where the flag does not say. */
export const functionTimeoutMs = 60_000;

export const concurrencyFlag = Flags.integer({
  summary: 'Functions backfill and verify that may work at once, each.',
  min: 1,
  max: 1000,
  default: 4,
  env: 'KEYFERRY_CONCURRENCY',
  helpValue: 'N',
});
