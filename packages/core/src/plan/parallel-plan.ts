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
  /** delta: most was imported before the freeze, and only what came since is within it. */
  readonly way: 'whole' | 'delta';
  readonly parts: readonly FreezePart[];
}

export interface FreezePart {
  readonly what: string;
  /** Whose durations it foretells. */
  readonly phases: readonly ParallelPhase[];
  readonly ms: number;
  readonly basis: 'measured' | 'rehearsed' | 'assumed';
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
/** The same of an import of what came since, of which this share of versions is assumed; and what it takes at least. */
const deltaShare = 0.01;
const deltaMs = 2000;
/** What shifting a balancer, draining and its proof take at least, by a balancer. */
const shiftMs = 500;

export interface FreezeFacts {
  /** Of 2.x; with a base that was read before, without its contents. */
  readonly walkMs: number;
  readonly exportMs: number;
  readonly versions: number;
  readonly balancers: number;
  /** Of a rehearsal; null: nobody measured it. */
  readonly rehearsed: RehearsedFigures | null;
  readonly bulk: boolean;
}

/** How long writes will be refused. Sums of what was measured for the plan; what nobody measured is marked. */
export function estimateFreeze(facts: FreezeFacts): FreezeEstimate {
  const { walkMs, exportMs, balancers, rehearsed, bulk } = facts;
  const basis = rehearsed === null ? 'assumed' : 'rehearsed';
  const { importMs, compareMs } = importAndCompare(facts);
  const parts: readonly FreezePart[] = [
    { what: 'refuse writes, drain and prove it', phases: ['freeze'], ms: balancers * shiftMs, basis: 'assumed' },
    { what: 'walk 2.x for the baseline', phases: ['baseline'], ms: walkMs, basis: 'measured' },
    { what: 'export, and hold it against a walk', phases: ['export'], ms: exportMs + walkMs, basis: 'measured' },
    { what: bulk ? 'import what came since' : 'import', phases: ['import'], ms: importMs, basis },
    {
      what: `${bulk ? 'export 3.x' : 'read 3.x back'} and compare, and walk 2.x again`,
      phases: ['compare'],
      ms: compareMs,
      basis,
    },
    {
      what: 'lead reads and then writes to 3.x',
      phases: ['read-on-3', 'switch'],
      ms: 2 * balancers * shiftMs,
      basis: 'assumed',
    },
  ];
  return { totalMs: parts.reduce((sum, { ms }) => sum + ms, 0), way: bulk ? 'delta' : 'whole', parts };
}

function importAndCompare({ walkMs, exportMs, versions, rehearsed, bulk }: FreezeFacts): {
  readonly importMs: number;
  readonly compareMs: number;
} {
  if (rehearsed !== null) {
    // A rehearsal of an older export is one of fewer versions.
    const share = versions / Math.max(1, rehearsed.versions);
    return { importMs: Math.round(rehearsed.importMs * share), compareMs: Math.round(rehearsed.compareMs * share) };
  }
  if (!bulk) return { importMs: versions * importMsPerVersion, compareMs: 3 * walkMs };
  // Both archives are read for it, and an export of 3.x takes about as long as one of 2.x.
  const readMs = exportMs;
  const importMs = Math.round(deltaMs + readMs + versions * deltaShare * importMsPerVersion);
  return { importMs, compareMs: 2 * exportMs + readMs + walkMs };
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
