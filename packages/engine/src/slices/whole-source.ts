/**
 * Sources that every function reads whole before its first record: those with no other consistent read, and those whose
 * keys the rules bring into another order. Such a reading has to fit into one invocation, or no slice ever gets to a record.
 *
 * How long it takes is known from the plan, which read it too, on another machine: so a plan says so early (a warning), and
 * only what no function could do at all is refused.
 */
import { finding, imageRule, KeyferryError, type Finding, type MigrationSpec, type PlanDocument } from '@keyferry/core';
import type { Engine } from '../migration.ts';

/** Lambda's own limit of an invocation. */
const invocationMaxMs = 900_000;
/** Shorter than this it fits into any timeout that a deployment would have. */
const worthSayingMs = 60_000;
/** A function may be slower than what made the plan, and has records to copy besides. */
const roomFor = 2;

type Reads = Pick<Engine, 'source'>;

function readsWhole({ source }: Reads, spec: MigrationSpec): boolean {
  return source.capabilities.readWhole === true || imageRule(spec).order === 'spilled';
}

const seconds = (ms: number): string => `${Math.ceil(ms / 1000)} s`;

/** Nothing where the state is not shared: no function gets to it then. */
export function wholeSourceFindings(engine: Reads, spec: MigrationSpec, scanMs: number): readonly Finding[] {
  if (spec.costs?.sharedState !== true || scanMs < worthSayingMs || !readsWhole(engine, spec)) return [];
  const neededMs = roomFor * scanMs;
  const detail = `each function would read the source whole before its first record, which took ${seconds(scanMs)} here`;
  const fix =
    neededMs > invocationMaxMs
      ? `apply it from a machine:   keyferry apply FILE   (functions have ${seconds(invocationMaxMs)} at most)`
      : `give backfill and verify a timeout of at least ${seconds(neededMs)}, or apply it from a machine`;
  return [finding('functions.source-whole', { count: 1, detail, fix })];
}

/** @throws {KeyferryError} `slices.not-fit` when reading took longer than any function may */
export function assertReadable(engine: Reads, spec: MigrationSpec, { scanMs }: Pick<PlanDocument, 'scanMs'>): void {
  if (scanMs < invocationMaxMs || !readsWhole(engine, spec)) return;
  const why = `each of them would read its source whole, which took ${seconds(scanMs)}, and has ${seconds(invocationMaxMs)}`;
  throw new KeyferryError('slices.not-fit', { migration: spec.migration, why });
}
