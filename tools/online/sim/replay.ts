/**
 * One seed again, with its trace; and a failure brought down to the faults that it needs, so that its trace can be read.
 */
import { shrinkFaults } from '@keyferry/engine/testing';
import type { OnlineWorldOptions } from './online-world.ts';
import { runOnlineSeed, type OnlineSeedResult } from './run-online-seed.ts';

export interface Shrunk {
  /** As it is with those faults alone. */
  readonly result: OnlineSeedResult;
  readonly faults: ReadonlySet<number>;
  /** How many were drawn before. */
  readonly drawn: number;
}

/** @returns null where the seed does not fail */
export async function shrinkSeed(options: OnlineWorldOptions): Promise<Shrunk | null> {
  const first = await runOnlineSeed(options);
  const kinds = new Set(first.violations.map(kindOf));
  if (kinds.size === 0) return null;
  // With fewer faults it may fail in another manner, which would be another story.
  const fails = ({ violations }: OnlineSeedResult): boolean => violations.some((each) => kinds.has(kindOf(each)));
  const faults = await shrinkFaults(first.faults, async (kept) =>
    fails(await runOnlineSeed({ ...options, faults: kept })),
  );
  return { result: await runOnlineSeed({ ...options, faults, keepTrace: true }), faults, drawn: first.faults };
}

/** A violation without the names and numbers of its run. */
const kindOf = (violation: string): string => violation.replaceAll(/\S*[\d/]\S*/g, '#');
