/** What the phases have in common: a failed check, calls with retries, and leading every balancer to one phase. */
import {
  KeyferryError,
  type DrainReceipt,
  type FrontReceipt,
  type LeakReceipt,
  type LoadBalancer,
  type ParallelPhase,
  type ParallelSettings,
  type ProbeSample,
  type ProbeSuite,
  type ShiftReceipt,
  type StopSignal,
  type TrafficPhase,
} from '@keyferry/core';
import { withRetry } from '../../retry.ts';
import type { ParallelCourse } from './course.ts';
import type { ParallelEngine } from './ports.ts';

/** A phase at work. */
export interface PhaseContext {
  readonly engine: ParallelEngine;
  readonly settings: ParallelSettings;
  readonly course: ParallelCourse;
  readonly phase: ParallelPhase;
  /** Aborted by whoever stops the run, by a lost lock, and by a freeze that has lasted too long. */
  readonly signal: StopSignal;
}

/** @throws {KeyferryError} `parallel.check-failed` */
export function failCheck({ course, phase }: Pick<PhaseContext, 'course' | 'phase'>, what: string): never {
  throw new KeyferryError('parallel.check-failed', { migration: course.state.migration, phase, what });
}

export function calling<T>({ engine, signal }: PhaseContext, what: string, call: () => Promise<T>): Promise<T> {
  return withRetry(engine, what, call, signal);
}

/**
 * Both at once, for two registries that do not wait for each other. Where one fails the other is stopped, and waited for.
 * @throws what failed first
 */
export async function together<A, B>(
  context: PhaseContext,
  one: (context: PhaseContext) => Promise<A>,
  other: (context: PhaseContext) => Promise<B>,
): Promise<readonly [A, B]> {
  const stopping = new AbortController();
  const stop = (): void => stopping.abort(context.signal.reason);
  if (context.signal.aborted) stop();
  context.signal.addEventListener('abort', stop);
  const failures: unknown[] = [];
  const guarded = async <T>(work: (context: PhaseContext) => Promise<T>): Promise<T> => {
    try {
      return await work({ ...context, signal: stopping.signal });
    } catch (error) {
      failures.push(error);
      stopping.abort(error);
      throw error;
    }
  };
  try {
    const [a, b] = await Promise.allSettled([guarded(one), guarded(other)]);
    if (a.status === 'rejected' || b.status === 'rejected') throw failures[0];
    return [a.value, b.value];
  } finally {
    context.signal.removeEventListener('abort', stop);
  }
}

/**
 * Every balancer, one after another.
 * @param after a failure: `stop` asks no other, `go-on` asks all of them and throws what failed first
 */
export async function onEach<T>(
  context: PhaseContext,
  what: string,
  act: (balancer: LoadBalancer) => Promise<T>,
  after: 'stop' | 'go-on' = 'stop',
): Promise<readonly T[]> {
  const results: T[] = [];
  const failures: KeyferryError[] = [];
  for (const balancer of context.engine.parallel.balancers) {
    try {
      results.push(await calling(context, `${what} ${balancer.name}`, () => act(balancer)));
    } catch (error) {
      if (after === 'stop' || !(error instanceof KeyferryError) || context.signal.aborted) throw error;
      failures.push(error);
    }
  }
  const [first] = failures;
  if (first !== undefined) throw first;
  return results;
}

export interface Led {
  readonly shifts: readonly ShiftReceipt[];
  readonly drains: readonly DrainReceipt[];
  readonly leaks: readonly LeakReceipt[];
}

/**
 * Leads every balancer to `to`, and proves it: files and process, nothing under way to where it led before, and a write
 * that could do no harm.
 * @throws {KeyferryError} `parallel.check-failed`
 */
export async function leadTo(context: PhaseContext, to: TrafficPhase): Promise<Led> {
  const { settings, signal } = context;
  // On the way back 2.x may take writes again: clients of the others need not wait for a balancer that is gone.
  const after = to === 'v2-rw' ? 'go-on' : 'stop';
  const shifts = await onEach(context, `shift to ${to}`, (balancer) => balancer.shift(to, signal), after);
  const { drainMs } = settings.freeze;
  const drains = await onEach(context, 'drain', (balancer) => balancer.awaitDrained(drainMs, signal));
  const stuck = drains.find(({ drained }) => !drained);
  if (stuck !== undefined) {
    failCheck(
      context,
      `${stuck.balancer} has not drained within ${drainMs} ms: ${stuck.left ?? 'it does not say what is left'}`,
    );
  }
  const leaks = await onEach(context, 'leak test', (balancer) => balancer.leakTest(to, signal));
  const leak = leaks.find(({ leaks: found }) => found > 0);
  if (leak !== undefined) {
    const { balancer, leaks: found, probes, detail } = leak;
    failCheck(
      context,
      `${found} of ${probes} probes through ${balancer} went where ${to} does not lead: ${detail ?? 'no detail'}`,
    );
  }
  return { shifts, drains, leaks };
}

/** @throws {KeyferryError} `parallel.check-failed` when a probe answers what is wrong whatever came before */
export async function probeFronts(
  context: PhaseContext,
  suite: ProbeSuite,
  release: 2 | 3,
): Promise<readonly FrontReceipt[]> {
  const { front } = context.engine.parallel;
  const sample = await context.course.needed<ProbeSample>('baseline', 'sample');
  const receipts = await onEach(context, 'probe', async ({ name, url }) => ({
    balancer: name,
    suite,
    probes: await front.probe(url, suite, release, sample, context.signal),
  }));
  for (const { balancer, probes } of receipts) {
    const wrong = probes.filter((each) => each.wrong !== null);
    const [first] = wrong;
    if (first !== undefined) {
      failCheck(
        context,
        `${wrong.length} of ${probes.length} requests through ${balancer} went wrong, "${first.name}" first: ${first.wrong ?? ''}`,
      );
    }
  }
  return receipts;
}
