/** A whole plan by the engine (join, digests, comparison of values, rows, prefix table) over pages that are in memory. */
import { discardPlan, systemClock, systemRandom } from '@keyferry/adapters';
import {
  keyFromText,
  unlimited,
  type MigrationId,
  type MigrationSpec,
  type Scratch,
  type StateStore,
} from '@keyferry/core';
import { makePlan, type Engine } from '@keyferry/engine';
import { benchPrefix, valueBytes } from '../workload/records.ts';
import { childOptions, measured } from './measured.ts';
import { pagesOfFile, pageStore } from './page-store.ts';

const { sourceFile, targetFile } = childOptions();
const [sourceValue, targetValue] = [new Uint8Array(valueBytes).fill(65), new Uint8Array(valueBytes).fill(65)];
const prefix = keyFromText(benchPrefix);
const spec: MigrationSpec = {
  migration: 'bench' as MigrationId,
  strategy: 'offline',
  sourceStore: 'source',
  targetStore: 'target',
  rule: { sourcePrefix: prefix, targetPrefix: prefix },
  transform: null,
  program: null,
  onConflict: 'keep-target',
  prune: false,
  inScope: () => true,
  guards: { deleteShareMax: 0.1, deletesMax: 1000 },
  keepBefore: true,
  requireEmpty: null,
  workers: 1,
  limits: { chunkKeysMax: 10_000, chunkBytesMax: 16 * 1024 * 1024, createRowsMax: 100_000 },
  runLimits: { ...unlimited, deadLettersMax: 100, functions: 1 },
  planMaxAgeMs: 3_600_000,
  isSensitive: () => false,
  configDigest: '',
  rulesDigest: '',
  selection: null,
  keyferryVersion: '0.1.0',
};
const engine: Engine = {
  source: pageStore('source', [...pagesOfFile(sourceFile, sourceValue)]),
  target: pageStore('target', [...pagesOfFile(targetFile, targetValue)]),
  state: {} as StateStore, // a plan never touches it
  scratch: {} as Scratch, // there are no rules that change the order of keys
  clock: systemClock,
  random: systemRandom,
  host: { emit: () => undefined },
};
await measured(async () => {
  const { totals } = await makePlan(engine, spec, discardPlan());
  return totals.scanned + totals.targetOnly;
});
