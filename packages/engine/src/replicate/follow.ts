/**
 * Following: a tail under way, caught up, and proven in generations; until one is proven, or until somebody ends it.
 */
import {
  otherSide,
  type Generation,
  type Key,
  type MigrationSpec,
  type PlanDocument,
  type PrimarySide,
} from '@keyferry/core';
import { assertNotStopped, type Engine } from '../migration.ts';
import { withRetry } from '../retry.ts';
import { proveGeneration, type GenerationResult } from './generation.ts';
import type { TailRun } from './tail-run.ts';

/** Between the end of one generation and the beginning of the next. */
const generationEveryMs = 60_000;
/** Generations in which a record would not stand still, before that is the answer. */
const unsettledMax = 5;

export interface Following {
  readonly engine: Engine;
  readonly spec: MigrationSpec;
  readonly plan: PlanDocument;
  readonly kept: ReadonlySet<Key>;
  /** The side that is filled. */
  readonly to: PrimarySide;
  readonly run: TailRun;
  readonly signal: AbortSignal;
}

/** Carries everything up to the head as it is now. @throws {KeyferryError} `run.interrupted` once `signal` has aborted. */
export async function catchUp({ engine, spec, run, signal }: Following): Promise<void> {
  const { route } = run.tail;
  const head = await withRetry(engine, 'head of feed', () => route.feed.head(), signal);
  await run.whenReached(head);
  assertNotStopped(spec.migration, signal);
  engine.host.emit({ code: 'tail.caught-up', data: { tail: route.tail, position: run.tail.position } });
}

/**
 * One generation, or several where records would not stand still. What is carried from before its first read on is among
 * the tail's touched keys, unless there were too many.
 */
export async function proveOnce(following: Following): Promise<GenerationResult> {
  const { engine, spec, plan, kept, to, run, signal } = following;
  for (let tries = 1; ; tries += 1) {
    run.tail.touched = new Set();
    const number = (run.tail.generation?.number ?? 0) + 1;
    const result = await run.whileGoing(
      proveGeneration(engine, spec, plan, {
        feed: run.tail.route.feed,
        primary: otherSide(to),
        kept,
        number,
        whenReached: (mark) => run.whenReached(mark),
        signal,
      }),
    );
    assertNotStopped(spec.migration, signal);
    if (result.verdict === 'unsettled' && tries < unsettledMax) continue;
    if (result.verdict === 'equal') noteGeneration(following, result.generation);
    else if (result.verdict === 'differ') {
      const { differences: named, differencesTotal: total } = result;
      run.tail.differs = { named, total, atMs: engine.clock.nowMs() };
    }
    return result;
  }
}

function noteGeneration({ engine, run }: Following, generation: Generation): void {
  run.tail.generation = generation;
  engine.host.emit({ code: 'tail.generation', data: generation });
}

/** Generation after generation, until one differs or `signal` aborts. @returns the last one that came to its end */
export async function followOn(following: Following, first: GenerationResult): Promise<GenerationResult> {
  const { engine, run, signal } = following;
  let last = first;
  while (last.verdict === 'equal' && !signal.aborted) {
    await run.whileGoing(engine.clock.sleep(generationEveryMs, signal));
    if (!signal.aborted) last = await proveOnce(following);
  }
  return last;
}
