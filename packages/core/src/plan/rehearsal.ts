/**
 * What a rehearsal of strategy `parallel` found: the whole migration on throw-away servers, on a copy of an export, there and back.
 *
 * A plan predicts; a rehearsal is the one place where the predicted losses, the length of the freeze and the way back are seen
 * before anybody waits for them. What it cannot show is named in `notRehearsed`, so that nobody takes it for more.
 */
import type { MigrationId } from '../model/ids.ts';
import type { ParallelPhase } from '../machines/parallel/phases.ts';
import type { ArchiveReceipt, RegistryComparison, RegistryDifference, RegistrySystem } from '../ports/registry.ts';
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
  /** Of the plan that was made of the throw-away servers. */
  readonly findings: readonly Finding[];
  /** In their order, as far as it came. */
  readonly phases: readonly { readonly phase: ParallelPhase; readonly tookMs: number }[];
  /** null: writes were never refused, or the comparison was not reached. */
  readonly freeze: RehearsedFreeze | null;
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

export function didPass({ failure, losses, wayBack }: Pick<Rehearsal, 'failure' | 'losses' | 'wayBack'>): boolean {
  const allCameBack = wayBack?.kind === 'replayed' && wayBack.cameBack === wayBack.written;
  return failure === null && losses?.unforeseenTotal === 0 && allCameBack;
}

/** What throw-away servers cannot show of a migration. */
export function notRehearsed(facts: {
  readonly balancers: readonly string[];
  readonly hasSmokeCommand: boolean;
  /** null: the archive was given, and 2.x was not asked. */
  readonly besides: { readonly roles: number; readonly settings: number } | null;
}): readonly string[] {
  const { balancers, hasSmokeCommand, besides } = facts;
  const left =
    besides === null
      ? 'roles and dynamic settings: no archive holds them'
      : `roles (${besides.roles}) and dynamic settings (${besides.settings}): no archive holds them`;
  return [
    left,
    `the configuration of ${balancers.join(' and ')}: others of the same kind stood in; plan checks the real one`,
    'load: no client called meanwhile; another machine, database and network have other durations',
    ...(hasSmokeCommand ? ['the smoke command: it would have asked the registry of the configuration'] : []),
  ];
}
