/**
 * The mode ladder: what an application's instance does in each mode of an online migration, and which mode may follow.
 *
 *     forward    legacy ─►▌draining ─► migrating ─►▌settled ─►▌normal
 *     back       migrating, settled ─►▌draining ─►▌returning ─►▌legacy
 *     given up   draining ─► where it came from    settled ─► migrating    normal ─► settled
 *
 * ▌: a barrier. Every registered instance has acknowledged that mode before the controller goes on (barrier.ts).
 * Each row is there because the explorer finds a lost write, a stale read or a record that comes back without it (SPEC
 * R24 to R36; testing/explore). Pure data and one function; who acts on them: dual-read-steps.ts and client-operation.ts.
 */
export type Mode = 'legacy' | 'draining' | 'migrating' | 'settled' | 'normal' | 'returning';

export const modes: readonly Mode[] = ['legacy', 'draining', 'migrating', 'settled', 'normal', 'returning'];

export interface ModeRules {
  /** target-then-source: the target's record and tombstone in one snapshot; if neither is there, the source. */
  readonly reads: 'source' | 'target-then-source' | 'target';
  /** held: kept back until another mode, within the caller's deadline. */
  readonly writes: 'source' | 'target' | 'held';
  /** Whether a write in the target keeps the tombstone of its key: a delete writes it, a put clears it. */
  readonly tombstones: boolean;
  /** Whether the controller waits for every instance in this mode before it goes on. */
  readonly barrier: boolean;
}

export type ModeTable = Readonly<Record<Mode, ModeRules>>;

export const modeTable: ModeTable = {
  legacy: { reads: 'source', writes: 'source', tombstones: false, barrier: true },
  draining: { reads: 'target-then-source', writes: 'held', tombstones: true, barrier: true },
  migrating: { reads: 'target-then-source', writes: 'target', tombstones: true, barrier: false },
  settled: { reads: 'target', writes: 'target', tombstones: true, barrier: true },
  normal: { reads: 'target', writes: 'target', tombstones: false, barrier: true },
  returning: { reads: 'source', writes: 'held', tombstones: false, barrier: true },
};

/** Where a migration stands on the ladder; part of the switch record. */
export interface Rung {
  readonly mode: Mode;
  /** The mode in which writes go on if draining is given up; null where nothing is held back. */
  readonly heldFrom: 'legacy' | 'migrating' | 'settled' | null;
  /**
   * The only end that is left: `normal` once that was announced (from there on deletes leave no tombstone), `legacy` once
   * `returning` was (from there on somebody may read the source alone). Null: both ways are open.
   */
  readonly committed: 'normal' | 'legacy' | null;
}

export const firstRung: Rung = { mode: 'legacy', heldFrom: null, committed: null };

/** advance: towards `normal`; back: towards `legacy`; give-up: a barrier timed out. */
export type Move = 'advance' | 'back' | 'give-up';

/** The rung that follows, or null where the move is not allowed. */
export function rungAfter(rung: Rung, move: Move): Rung | null {
  const { mode, heldFrom, committed } = rung;
  const to = (next: Mode): Rung => ({ mode: next, heldFrom: null, committed });
  const holding = (next: Mode, from: Rung['heldFrom']): Rung => ({ mode: next, heldFrom: from, committed });
  switch (mode) {
    case 'legacy':
      return move === 'advance' ? { ...holding('draining', 'legacy'), committed: null } : null;
    case 'draining':
      if (move === 'give-up') return to(heldFrom ?? 'legacy');
      // Nothing is in the target before `migrating`, so from there draining has nothing to return.
      if (heldFrom === 'legacy') return move === 'advance' ? to('migrating') : to('legacy');
      return move === 'back' ? { ...holding('returning', heldFrom), committed: 'legacy' } : null;
    case 'migrating':
      if (move === 'advance') return to('settled');
      return move === 'back' ? holding('draining', 'migrating') : null;
    case 'settled':
      if (move === 'advance') return { ...to('normal'), committed: 'normal' };
      if (committed === 'normal') return null;
      return move === 'back' ? holding('draining', 'settled') : to('migrating');
    case 'normal':
      return move === 'give-up' ? to('settled') : null;
    case 'returning':
      // Not given up: service would go on in the target while somebody still reads the source alone.
      return move === 'back' ? to('legacy') : null;
  }
}
