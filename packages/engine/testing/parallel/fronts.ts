/** Balancers of the stage, which lead at once, and what clients and a rehearsal see through them. */
import type { BalancerOrigin, LoadBalancer, ProbeOutcome, RegistryFront, TrafficPhase } from '@keyferry/core';
import type { Gate } from './gate.ts';

export interface BalancerWorld {
  readonly nowMs: number;
  readonly old: Set<string>;
  readonly fresh: Set<string>;
  readonly traffic: Record<string, TrafficPhase>;
  readonly restored: Set<string>;
  readonly targetDown: boolean;
  /** How many more times `b` answers for a 3.x that it does not see. */
  unreached: number;
  /** Of a write that nobody made yet. */
  nextWrite(): number;
}

export function stageBalancer(world: BalancerWorld, name: string, gate: Gate): LoadBalancer {
  const lead = (phase: TrafficPhase) => {
    const changed = world.traffic[name] !== phase;
    world.traffic[name] = phase;
    const at = { atMs: world.nowMs, tookMs: 1 };
    return { balancer: name, phase, sha256Before: '', sha256After: '', changed, by: 'map', ...at } as const;
  };
  const origin: BalancerOrigin = { balancer: name, kind: 'haproxy', files: [] };
  return {
    name,
    kind: 'haproxy',
    where: name,
    url: `http://${name}`,
    readOrigin: () => gate.pass('origin', () => origin),
    rehearse: () => gate.pass('rehearse', () => []),
    adopt: () => gate.pass('adopt', () => lead('v2-rw')),
    read: () =>
      gate.pass('read', () => ({
        inFile: world.traffic[name] ?? null,
        atRuntime: world.traffic[name] ?? null,
        drift: null,
      })),
    shift: (phase) => gate.pass(`shift ${phase}`, () => lead(phase)),
    awaitDrained: () => gate.pass('drain', () => ({ balancer: name, drained: true, left: null, tookMs: 1 })),
    leakTest: (phase) =>
      gate.pass('leak', () => ({
        balancer: name,
        phase,
        probes: 2,
        leaks: world.traffic[name] === phase ? 0 : 1,
        detail: null,
      })),
    traffic: (sinceMs) =>
      gate.pass('traffic', () => ({
        balancer: name,
        sinceMs,
        untilMs: world.nowMs,
        requests: 100,
        answers: { '2xx': 100, '3xx': 0, '4xx': 0, '405': 0, '5xx': world.targetDown ? 50 : 0 },
        p50Ms: 1,
        p99Ms: 2,
      })),
    apiUse: () => gate.pass('api use', () => []),
    restore: () =>
      gate.pass('restore', () => {
        world.restored.add(name);
        return lead('v2-rw');
      }),
    close: () => Promise.resolve(),
  };
}

/** Its writes are the stage's: named by their ids. */
export function front(world: BalancerWorld, gate: Gate): RegistryFront {
  const behind = (url: string): Set<string> => {
    const phase = world.traffic[url.replace('http://', '')] ?? 'v2-rw';
    return phase.startsWith('v3') ? world.fresh : world.old;
  };
  return {
    sample: () => gate.pass('sample', () => ({ versions: [] })),
    probe: (url, _suite, release) =>
      gate.pass(`probe ${url}`, () => {
        if (release === 2 || url !== 'http://b' || world.unreached === 0) return probes;
        world.unreached -= 1;
        return probes.map((probe) => ({ ...probe, status: 503, wrong: 'answered 503' }));
      }),
    write: (url) =>
      gate.pass('front.write', () => {
        const globalId = world.nextWrite();
        behind(url).add(`r${globalId}`);
        return { globalId, sha256: '' };
      }),
    holds: (url, { globalId }) => gate.pass('front.holds', () => behind(url).has(`r${globalId}`)),
  };
}

const probes: readonly ProbeOutcome[] = [{ name: 'look-up by id', status: 200, sha256: null, wrong: null, tookMs: 1 }];
