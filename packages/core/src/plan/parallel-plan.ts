/** Plans of strategy `parallel`: what a reviewer must know before a registry is moved, and what apply holds itself to. */
import type { MigrationId, PlanId } from '../model/ids.ts';
import { parallelPhases, phaseFacts, type ParallelPhase } from '../machines/parallel/phases.ts';
import { rollbackTable, type RollbackRow } from '../machines/parallel/way-back.ts';
import type { SoakLimits } from '../machines/parallel/soak.ts';
import type { ApiUse } from '../ports/load-balancer.ts';
import type { SettingsTranslation } from '../ports/registry-settings.ts';
import type {
  ArchiveReceipt,
  BesidesArchive,
  CompletenessProof,
  Deletions,
  Foresight,
  RegistryCounts,
  RegistrySystem,
} from '../ports/registry.ts';
import type { Finding } from './finding.ts';
import type { FreezeEstimate } from './freeze-estimate.ts';

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
    /** What cannot even be read of it; the first `registryNamedMax`. */
    readonly unreadable: BesidesArchive['unreadable'];
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

export const plannedRollback = (bulk: boolean): readonly RollbackRow[] => rollbackTable(null, bulk);
