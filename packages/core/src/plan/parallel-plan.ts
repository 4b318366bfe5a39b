/** Plans of strategy `parallel`: what a reviewer must know before a registry is moved, and what apply holds itself to. */
import type { MigrationId, PlanId } from '../model/ids.ts';
import { parallelPhases, phaseFacts, type ParallelPhase } from '../machines/parallel/phases.ts';
import { rollbackTable, type RollbackRow } from '../machines/parallel/way-back.ts';
import type { SoakLimits } from '../machines/parallel/soak.ts';
import type { ApiUse } from '../ports/load-balancer.ts';
import type { SettingsTranslation } from '../ports/registry-settings.ts';
import type {
  ArchiveReceipt,
  CompletenessProof,
  Deletions,
  Foresight,
  RegistryCounts,
  RegistrySystem,
} from '../ports/registry.ts';
import type { Finding } from './finding.ts';
import type { RehearsedFigures } from './rehearsal.ts';

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
  readonly parts: readonly {
    readonly what: string;
    readonly ms: number;
    readonly basis: 'measured' | 'rehearsed' | 'assumed';
  }[];
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
  /** What 3.x is to be started with; null: nobody said what 2.x is started with. */
  readonly settings: SettingsTranslation | null;
  /** null: 3.x does not say. */
  readonly deletions: Deletions | null;
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
  /** Of a rehearsal; null: nobody measured it. */
  readonly rehearsed: RehearsedFigures | null;
  readonly bulk: boolean;
}

/** How long writes will be refused. Sums of what was measured for the plan; what nobody measured is marked. */
export function estimateFreeze(facts: FreezeFacts): FreezeEstimate {
  const { walkMs, exportMs, versions, balancers, rehearsed } = facts;
  // A rehearsal of an older export is one of fewer versions.
  const share = rehearsed === null ? 1 : versions / Math.max(1, rehearsed.versions);
  const basis = rehearsed === null ? 'assumed' : 'rehearsed';
  const parts: FreezeEstimate['parts'] = [
    { what: 'refuse writes, drain and prove it', ms: balancers * shiftMs, basis: 'assumed' },
    { what: 'walk 2.x twice for the baseline', ms: 2 * walkMs, basis: 'measured' },
    { what: 'export, and hold it against a walk', ms: exportMs + walkMs, basis: 'measured' },
    { what: 'import', ms: Math.round((rehearsed?.importMs ?? versions * importMsPerVersion) * share), basis },
    {
      what: 'read 3.x back and compare, and walk 2.x again',
      ms: Math.round((rehearsed?.compareMs ?? 3 * walkMs) * share),
      basis,
    },
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

/** The phases as a plan shows them. */
export function plannedPhases(confirm: readonly ParallelPhase[]): ParallelPlan['phases'] {
  return parallelPhases.map((phase) => {
    const { checks, evidence } = phaseFacts[phase];
    return { phase, checks, evidence, confirmed: confirm.includes(phase) };
  });
}

export const plannedRollback = (): readonly RollbackRow[] => rollbackTable(null);
