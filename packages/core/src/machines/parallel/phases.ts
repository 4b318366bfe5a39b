/**
 * Phases of strategy `parallel`: from a registry of 2.x to one of 3.x behind load balancers.
 *
 *     prepare ─► foresee ─► freeze ─► baseline ─► export ─► import ─► compare ─► read-on-3 ─► switch ─► verify ─► smoke ─► soak ─► decommission
 *     └── v2-rw ──────────┘└──────────────── v2-ro ─────────────────────────┘ └─ v3-ro ─┘ └────────────── v3-rw ───────────────────────┘
 *
 * Reads are served in every one of them, writes are refused from `freeze` to `switch` and nowhere else. This table is what
 * `plan` and `status` print, what the walk of the engine goes by, and what its tests exhaust.
 */
import type { TrafficPhase } from '../../ports/load-balancer.ts';

export const parallelPhases = [
  'prepare',
  'foresee',
  'freeze',
  'baseline',
  'export',
  'import',
  'compare',
  'read-on-3',
  'switch',
  'verify',
  'smoke',
  'soak',
  'decommission',
] as const;
export type ParallelPhase = (typeof parallelPhases)[number];

export interface PhaseFacts {
  /** Where the load balancers lead while it is done: its own first act where it differs from the phase before. */
  readonly traffic: TrafficPhase;
  /** Each completes "It is passed once …". */
  readonly checks: string;
  /** Names of the evidence that it leaves in the state. */
  readonly evidence: readonly string[];
}

export const phaseFacts: Readonly<Record<ParallelPhase, PhaseFacts>> = {
  prepare: {
    traffic: 'v2-rw',
    checks:
      'both registries answer with the planned releases, 3.x is ready and empty, and every balancer serves in phase v2-rw with its original bytes kept',
    evidence: ['source', 'target', 'origins', 'adopted'],
  },
  foresee: {
    traffic: 'v2-rw',
    checks:
      'an export is complete as far as a registry in use lets it be, and nothing is lost that was not accepted by name; with freeze.bulk, 3.x took it',
    evidence: ['archive', 'completeness', 'contents', 'foresight', 'repair', 'import', 'base'],
  },
  freeze: {
    traffic: 'v2-ro',
    checks: 'every balancer refuses a harmless write by itself, and has drained what was under way',
    evidence: ['shifts', 'drains', 'leaks'],
  },
  baseline: {
    traffic: 'v2-ro',
    checks: 'all that 2.x shows was walked, and reads pass through each balancer',
    evidence: ['census', 'sample', 'reads'],
  },
  export: {
    traffic: 'v2-ro',
    checks:
      'the archive holds all that the walk of the baseline showed and nothing else, so that nobody wrote past the balancers meanwhile, and nothing is lost that was not accepted by name',
    evidence: ['exported', 'archive', 'completeness', 'foresight', 'repair'],
  },
  import: {
    traffic: 'v2-ro',
    checks: '3.x took the archive, or what came since the one before, and got by its API what no archive holds',
    evidence: ['begun', 'way', 'delta', 'import', 'carried'],
  },
  compare: {
    traffic: 'v2-ro',
    checks:
      '3.x, read back whole, equals the archive less what was foreseen, and a second export shows that 2.x has stood still since the first',
    evidence: ['by-export', 'comparison', 'stillness', 'snapshot'],
  },
  'read-on-3': {
    traffic: 'v3-ro',
    checks: 'every balancer serves reads from 3.x and refuses writes',
    evidence: ['shifts', 'drains', 'leaks', 'reads'],
  },
  switch: {
    traffic: 'v3-rw',
    checks: 'every balancer leads a harmless write to 3.x',
    evidence: ['shifts', 'leaks'],
  },
  verify: {
    traffic: 'v3-rw',
    checks:
      'the APIs that clients use answer through every balancer: v2, ccompat v7, v3 core, search, system, branches; and a second walk shows that nobody wrote to 2.x past the balancers until 3.x took writes',
    evidence: ['probes', 'stillness'],
  },
  smoke: {
    traffic: 'v3-rw',
    checks:
      'look-ups as clients make them succeed, errors are those of the baseline, and the command of the configuration agrees',
    evidence: ['probes', 'command'],
  },
  soak: {
    traffic: 'v3-rw',
    checks:
      'for the whole length of it errors and latency stay within their limits, 3.x is well, and no balancer drifts',
    evidence: ['samples'],
  },
  decommission: {
    traffic: 'v3-rw',
    checks: 'no request goes to 2.x any more, and a person has given up the way back',
    evidence: ['last'],
  },
};

export const phaseIndex = (phase: ParallelPhase): number => parallelPhases.indexOf(phase);

/** null: there is none. */
export function phaseAfter(phase: ParallelPhase): ParallelPhase | null {
  return parallelPhases[phaseIndex(phase) + 1] ?? null;
}

/** Whether `phase` comes before `other`. */
export const isBefore = (phase: ParallelPhase, other: ParallelPhase): boolean => phaseIndex(phase) < phaseIndex(other);
