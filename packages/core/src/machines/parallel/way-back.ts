/**
 * The way back of strategy `parallel`, as it is true in the phase at hand: the table that runbooks leave half empty.
 *
 *     before freeze    restore                                                      nothing was moved
 *     freeze … read-on-3   lead-back ─► restore                                     no write was accepted by 3.x
 *     switch … soak    refuse-writes ─► collect ─► replay ─► lead-back ─► restore   writes of 3.x go into 2.x first
 *     decommission     none                                                         2.x may be gone
 *
 * 2.x takes no write again before every write that 3.x accepted is in it (SPEC R92): both sides hand out ids from the same
 * mark, and one id would come to mean two schemas. So the order of the steps is the rule, and no step is left out because
 * probably nobody wrote.
 */
import { isBefore, parallelPhases, type ParallelPhase } from './phases.ts';

export const backSteps = ['refuse-writes', 'collect', 'replay', 'lead-back', 'restore'] as const;
export type BackStep = (typeof backSteps)[number];

export interface WayBack {
  /** In their order; none: there is no way back. */
  readonly steps: readonly BackStep[];
  /** What clients notice of it. */
  readonly clients: string;
  /** What may be lost. */
  readonly loses: string;
  /** What has to be done by hand before it is tried once more. */
  readonly byHand: string;
}

const restoreOnly: Omit<WayBack, 'byHand'> = {
  steps: ['restore'],
  clients: 'nothing',
  loses: 'nothing: no request was led anywhere else',
};

const emptyAgain = 'give 3.x an empty database, schema or topic';

/**
 * @param begun whether an effect of the phase may have happened; before that, the way back is that of the phase before
 * @param bulk 3.x is filled before the freeze
 */
export function wayBackOf(phase: ParallelPhase, begun: boolean, bulk = false): WayBack {
  const filledIn: ParallelPhase = bulk ? 'foresee' : 'import';
  const isFilled = !isBefore(phase, filledIn) && !(phase === filledIn && !begun);
  const byHand = isFilled ? emptyAgain : 'nothing';
  if (isBefore(phase, 'freeze') || (phase === 'freeze' && !begun)) return { ...restoreOnly, byHand };
  if (isBefore(phase, 'switch') || (phase === 'switch' && !begun)) {
    return {
      steps: ['lead-back', 'restore'],
      clients: 'writes are taken again; reads went on all the while',
      loses: 'nothing: 3.x accepted no write',
      byHand,
    };
  }
  if (phase === 'decommission' && begun) {
    return { steps: [], clients: '', loses: 'there is no way back', byHand: 'restore a backup of 2.x' };
  }
  return {
    steps: ['refuse-writes', 'collect', 'replay', 'lead-back', 'restore'],
    clients:
      'writes are refused with 405 until those that 3.x accepted are in 2.x; requests to /apis/registry/v3 find nothing any more',
    loses: 'what 2.x has no form for (drafts, branches, rules of groups): listed by name, and refused unless accepted',
    byHand: emptyAgain,
  };
}

export interface RollbackRow extends WayBack {
  readonly phase: ParallelPhase;
  /** It is the way back now. */
  readonly now: boolean;
}

/** The whole table, with the row that is true now marked. @param bulk 3.x is filled before the freeze */
export function rollbackTable(
  at: { readonly phase: ParallelPhase; readonly begun: boolean } | null,
  bulk = false,
): readonly RollbackRow[] {
  return parallelPhases.map((phase) => ({
    phase,
    now: at?.phase === phase,
    ...wayBackOf(phase, at?.phase === phase ? at.begun : true, bulk),
  }));
}
