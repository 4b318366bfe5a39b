/** One sample of the soak: what passed the balancers since the one before, and how 3.x and the balancers are. */
import {
  breachesOf,
  KeyferryError,
  soakVerdict,
  withSample,
  type ParallelSettings,
  type SoakSample,
  type StopSignal,
} from '@keyferry/core';
import type { ParallelCourse } from './course.ts';
import type { ParallelEngine, ParallelPorts } from './ports.ts';

interface Soaking {
  readonly engine: ParallelEngine;
  readonly settings: ParallelSettings;
  readonly course: ParallelCourse;
  readonly signal: StopSignal;
}

export async function takeSample({ engine, settings, course, signal }: Soaking): Promise<SoakSample> {
  const { soak, beganAtMs } = course.state;
  const sinceMs = soak.last.at(-1)?.atMs ?? soak.sinceMs ?? beganAtMs ?? engine.clock.nowMs();
  const sample = await readSample(engine.parallel, sinceMs, engine.clock.nowMs(), signal);
  const next = withSample(soak, sample, settings.soak);
  await course.write({ ...course.state, soak: next, changedAtMs: sample.atMs });
  const { leftMs } = { leftMs: 0, ...soakVerdict(next, settings.soak, true) };
  engine.host.emit({ code: 'soak.sampled', data: { sample, breaches: breachesOf(sample, settings.soak), leftMs } });
  return sample;
}

/** Writes nothing. What cannot be asked is a breach and no failure: the soak is there to see that. */
export async function readSample(
  { target, balancers }: Pick<ParallelPorts, 'target' | 'balancers'>,
  sinceMs: number,
  nowMs: number,
  signal: StopSignal,
): Promise<SoakSample> {
  const drift: string[] = [];
  const ready = await target.system(signal).then(
    (system) => system.ready !== false,
    (error: unknown) => {
      rethrowUnlessCoded(error);
      return false;
    },
  );
  let requests = 0;
  let errors5xx = 0;
  let errors4xx = 0;
  let p99Ms: number | null = null;
  for (const balancer of balancers) {
    try {
      const state = await balancer.read();
      if (state.drift !== null) drift.push(`${balancer.name}: ${state.drift}`);
      else if (state.inFile !== 'v3-rw')
        drift.push(`${balancer.name} leads to ${state.inFile ?? 'nobody knows where'}`);
      const seen = await balancer.traffic(sinceMs);
      if (seen === null) continue;
      requests += seen.requests;
      errors5xx += seen.answers['5xx'];
      errors4xx += seen.answers['4xx'];
      if (seen.p99Ms !== null) p99Ms = Math.max(p99Ms ?? 0, seen.p99Ms);
    } catch (error) {
      rethrowUnlessCoded(error);
      drift.push(`${balancer.name} cannot be asked (${(error as KeyferryError).code})`);
    }
  }
  return { atMs: nowMs, requests, errors5xx, errors4xx, p99Ms, ready, drift };
}

function rethrowUnlessCoded(error: unknown): void {
  if (!(error instanceof KeyferryError)) throw error;
}
