/**
 * What a rehearsal of strategy `parallel` found: the whole migration on throw-away servers, on a copy of an export, there and back.
 *
 * A plan predicts; a rehearsal is the one place where the predicted losses, the length of the freeze and the way back are seen
 * before anybody waits for them. What it cannot show is named in `notRehearsed`, so that nobody takes it for more.
 */
import type { MigrationId } from '../model/ids.ts';
import type { ParallelPhase } from '../machines/parallel/phases.ts';
import type {
  ArchiveReceipt,
  CarriedReceipt,
  RegistryComparison,
  RegistryDifference,
  RegistrySystem,
} from '../ports/registry.ts';
import type { Finding } from './finding.ts';

export interface Rehearsal {
  readonly migration: MigrationId;
  readonly atMs: number;
  readonly tookMs: number;
  /** What was rehearsed with. */
  readonly archive: Pick<ArchiveReceipt, 'file' | 'bytes' | 'sha256' | 'counts'>;
  /** The throw-away ones. */
  readonly source: { readonly where: string; readonly system: RegistrySystem };
  readonly target: { readonly where: string; readonly system: RegistrySystem };
  /** Of the plan that was made of the throw-away servers, and of the migration's own load balancers. */
  readonly findings: readonly Finding[];
  /** In their order, as far as it came. */
  readonly phases: readonly { readonly phase: ParallelPhase; readonly tookMs: number }[];
  /** null: writes were never refused, or the comparison was not reached. */
  readonly freeze: RehearsedFreeze | null;
  /** Roles, dynamic settings, owners and the like, which no archive holds; null: the import was not reached. */
  readonly besides: CarriedReceipt | null;
  /** null: the comparison was not reached. */
  readonly losses: RehearsedLosses | null;
  /** null: it was not gone. */
  readonly wayBack: RehearsedWayBack | null;
  /** null: nothing failed. */
  readonly failure: { readonly phase: ParallelPhase; readonly code: string; readonly message: string } | null;
  /** Each a fact for people. */
  readonly notRehearsed: readonly string[];
  /** Every phase was passed, nothing was lost that nobody foresaw, and every write came back. */
  readonly passed: boolean;
}

/** Milliseconds, on the machine of the rehearsal. */
export interface RehearsedFreeze {
  readonly estimatedMs: number;
  readonly measuredMs: number;
  readonly importMs: number;
  /** 3.x read back and compared, 2.x walked once more, and the snapshot of 3.x. */
  readonly compareMs: number;
  readonly versions: number;
}

export interface RehearsedLosses extends Pick<RegistryComparison, 'expected' | 'found'> {
  /** Versions, rules and comments that the archive made one expect to lose, and that were lost. */
  readonly asForeseen: number;
  /** Nobody foresaw these. */
  readonly unforeseen: readonly RegistryDifference[];
  readonly unforeseenTotal: number;
}

export interface RehearsedWayBack {
  /** undone: by a failure within the freeze. replayed: after the switch, with what 3.x had accepted. */
  readonly kind: 'undone' | 'replayed';
  readonly tookMs: number;
  /** Writes that 3.x accepted, and how many of them 2.x has afterwards, with the same ids and bytes. */
  readonly written: number;
  readonly cameBack: number;
}

/** Freeze figures that a plan can be made with. */
export type RehearsedFigures = Pick<RehearsedFreeze, 'importMs' | 'compareMs' | 'versions'>;

export function didPass({
  findings,
  failure,
  losses,
  wayBack,
}: Pick<Rehearsal, 'findings' | 'failure' | 'losses' | 'wayBack'>): boolean {
  const allCameBack = wayBack?.kind === 'replayed' && wayBack.cameBack === wayBack.written;
  const isBlocked = findings.some(({ level }) => level === 'blocking');
  return failure === null && !isBlocked && losses?.unforeseenTotal === 0 && allCameBack;
}

/** What throw-away servers cannot show of a migration. */
export function notRehearsed(facts: {
  readonly balancers: readonly string[];
  /** Of them, whose own configuration was not checked, and why. */
  readonly unchecked: readonly { readonly name: string; readonly why: string }[];
  readonly hasSmokeCommand: boolean;
  /** false: the archive was given, and 2.x was not asked for what no archive holds. */
  readonly hasBesides: boolean;
  /** How the migration's registries are asked: `registry-2 (OIDC, TLS)`. */
  readonly access: readonly string[];
}): readonly string[] {
  const { balancers, unchecked, hasSmokeCommand, hasBesides, access } = facts;
  return [
    ...(hasBesides ? [] : ['roles, dynamic settings and owners: no archive holds them, and 2.x was not asked']),
    `reloads of ${balancers.join(' and ')}: others of the same kind stood in`,
    ...unchecked.map(({ name, why }) => `the configuration of ${name}: it was not checked, ${why}`),
    ...(access.length === 0
      ? []
      : [
          `authentication and TLS of ${access.join(' and ')}: throw-away servers take anybody; plan asks the real ones`,
        ]),
    'load: no client called meanwhile; another machine, database and network have other durations',
    ...(hasSmokeCommand ? ['the smoke command: it would have asked the registry of the configuration'] : []),
  ];
}
