/** Plans of strategy `parallel`: what a reviewer must know before a registry is moved, and what apply holds itself to. */
import type { MigrationId, PlanId } from '../model/ids.ts';
import { parallelPhases, phaseFacts, type ParallelPhase } from '../machines/parallel/phases.ts';
import { rollbackTable, type RollbackRow } from '../machines/parallel/way-back.ts';
import type { SoakLimits } from '../machines/parallel/soak.ts';
import type { ApiUse } from '../ports/load-balancer.ts';
import type {
  ArchiveReceipt,
  CompletenessProof,
  Foresight,
  RegistryCounts,
  RegistrySystem,
} from '../ports/registry.ts';
import { finding, type Finding } from './finding.ts';

/** Strategy `parallel`, as the configuration says it. */
export interface ParallelSettings {
  readonly migration: MigrationId;
  readonly configDigest: string;
  readonly keyferryVersion: string;
  /** Phases before which a person says yes. */
  readonly confirm: readonly ParallelPhase[];
  readonly freeze: {
    /** Longest that writes may be refused; past it, it is undone. Milliseconds. */
    readonly maxMs: number;
    /** Longest wait for requests that are under way. Milliseconds. */
    readonly drainMs: number;
  };
  /** The archive of `foresee` is imported before the freeze, so that only what came since is left for it. */
  readonly bulk: boolean;
  /** What can be cured in an archive is cured before it is imported. */
  readonly repair: boolean;
  /** Losses that are taken knowingly: findings that block otherwise. */
  readonly losses: readonly string[];
  readonly soak: SoakLimits;
  /** Milliseconds between two samples of `apply --follow`. */
  readonly soakEveryMs: number;
  /** A program of the user's that has to agree in phase smoke; null: none. */
  readonly smokeCommand: readonly string[] | null;
  readonly planMaxAgeMs: number;
}

export interface FreezeEstimate {
  /** Milliseconds for which writes will be refused. */
  readonly totalMs: number;
  readonly parts: readonly { readonly what: string; readonly ms: number; readonly basis: 'measured' | 'assumed' }[];
}

export interface ParallelPlan {
  readonly strategy: 'parallel';
  readonly plan: PlanId;
  readonly migration: MigrationId;
  readonly createdAtMs: number;
  readonly expiresAtMs: number;
  readonly configDigest: string;
  readonly keyferryVersion: string;
  readonly source: { readonly where: string; readonly system: RegistrySystem };
  readonly target: { readonly where: string; readonly system: RegistrySystem; readonly holds: RegistryCounts };
  readonly balancers: readonly {
    readonly name: string;
    readonly kind: string;
    readonly where: string;
    readonly url: string;
  }[];
  readonly archive: ArchiveReceipt;
  /** null: a given archive, of which nobody knows when it was made. */
  readonly completeness: CompletenessProof | null;
  readonly foresight: Foresight;
  readonly besides: {
    readonly roles: number;
    readonly settings: number;
    readonly owners: number;
    readonly groupLabels: number;
  };
  /** APIs that clients call and 3.x does not have. */
  readonly gone: readonly ApiUse[];
  readonly freeze: FreezeEstimate;
  readonly phases: readonly {
    readonly phase: ParallelPhase;
    readonly checks: string;
    readonly evidence: readonly string[];
    readonly confirmed: boolean;
  }[];
  readonly rollback: readonly RollbackRow[];
  readonly findings: readonly Finding[];
  /** Findings that must be accepted by name, or solved, are among them. */
  readonly applyable: boolean;
}

/** Path prefixes that 3.x does not serve. */
export const apisGone: readonly string[] = [
  '/apis/ccompat/v6',
  '/apis/registry/v1',
  '/apis/cncf/v0',
  '/apis/ibmcompat/v1',
];

/** Milliseconds a version that an import takes where nobody measured it: 3.3.3 with H2 on two cores, and twice of that. */
const importMsPerVersion = 4;
/** What shifting a balancer, draining and its proof take at least, by a balancer. */
const shiftMs = 500;

export interface FreezeFacts {
  readonly walkMs: number;
  readonly exportMs: number;
  readonly versions: number;
  readonly balancers: number;
  readonly drainMs: number;
  /** Of an import of a copy, by a rehearsal or before the freeze; null: nobody measured it. */
  readonly importMs: number | null;
  readonly bulk: boolean;
}

/** How long writes will be refused. Sums of what was measured for the plan; what nobody measured is marked. */
export function estimateFreeze(facts: FreezeFacts): FreezeEstimate {
  const { walkMs, exportMs, versions, balancers, importMs } = facts;
  const imported = importMs ?? versions * importMsPerVersion;
  const parts: FreezeEstimate['parts'] = [
    { what: 'refuse writes, drain and prove it', ms: balancers * shiftMs, basis: 'assumed' },
    { what: 'walk 2.x twice for the baseline', ms: 2 * walkMs, basis: 'measured' },
    { what: 'export, and hold it against a walk', ms: exportMs + walkMs, basis: 'measured' },
    { what: 'import', ms: imported, basis: importMs === null ? 'assumed' : 'measured' },
    { what: 'read 3.x back and compare, and walk 2.x again', ms: 3 * walkMs, basis: 'assumed' },
    { what: 'lead reads and then writes to 3.x', ms: 2 * balancers * shiftMs, basis: 'assumed' },
  ];
  return { totalMs: parts.reduce((sum, { ms }) => sum + ms, 0), parts };
}

/**
 * What of a foresight stops the migration; what was taken knowingly in the configuration is a warning.
 * @param inUse the registry was written to meanwhile, so that the archive may be torn; the freeze is the judge then
 */
export function judgedFindings(
  findings: readonly Finding[],
  losses: readonly string[],
  { inUse }: { readonly inUse: boolean },
): readonly Finding[] {
  const taken = inUse ? [...losses, ...tornCodes] : losses;
  return findings.map((each) =>
    each.level === 'blocking' && taken.includes(each.code) ? { ...each, level: 'warning' as const } : each,
  );
}

/** What an export looks like that was made while somebody wrote: 2.x reads contents, versions and rules one after another. */
const tornCodes: readonly string[] = ['registry.content-missing', 'registry.rule-lost', 'registry.comment-lost'];

/** What clients of a registry will notice, whatever the archive holds. */
export function clientFindings(gone: readonly ApiUse[]): readonly Finding[] {
  if (gone.length === 0) return [];
  const requests = gone.reduce((sum, each) => sum + each.requests, 0);
  const named = gone.map(
    ({ prefix, method, requests: count, balancer }) => `${method} ${prefix} (${count}, ${balancer})`,
  );
  return [
    finding('registry.api-gone', {
      count: requests,
      detail: `clients call ${named.join(', ')}, which 3.x does not serve`,
      fix: 'move them to /apis/ccompat/v7 or /apis/registry/v2 first, or accept it by name:   --accept registry.api-gone',
    }),
  ];
}

/** The phases as a plan shows them. */
export function plannedPhases(confirm: readonly ParallelPhase[]): ParallelPlan['phases'] {
  return parallelPhases.map((phase) => {
    const { checks, evidence } = phaseFacts[phase];
    return { phase, checks, evidence, confirmed: confirm.includes(phase) };
  });
}

export const plannedRollback = (): readonly RollbackRow[] => rollbackTable(null);
