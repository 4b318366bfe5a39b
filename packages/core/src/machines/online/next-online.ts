/** The one safe next command of a migration in which applications take part, and the way back: from mode and phase. */
import type { MigrationId } from '../../model/ids.ts';
import { shellWord } from '../../model/shell-word.ts';
import { nextStep, type NextStep, type Phase } from '../migration-phase.ts';
import type { Rung } from './mode-ladder.ts';

export function nextOnline(
  migration: MigrationId,
  rung: Rung,
  phase: Phase,
  appliedAs: string,
  followedBy?: 'time',
): NextStep {
  const step = nextWithWayBack(migration, rung, phase, appliedAs);
  // Whoever follows a key by itself writes the target in every mode: nobody could lead it back (SPEC R113).
  return followedBy === undefined ? step : { ...step, wayBack: null };
}

function nextWithWayBack(
  migration: MigrationId,
  { mode, heldFrom, committed }: Rung,
  phase: Phase,
  appliedAs: string,
): NextStep {
  const back = `keyferry rollback ${migration}`;
  const apply = `keyferry apply ${shellWord(appliedAs)}`;
  const isOver = phase === 'finalized' || phase === 'rolled-back' || phase === 'reopened' || phase === 'new';
  if (isOver && (mode === 'legacy' || mode === 'normal')) return nextStep(migration, phase, appliedAs);
  switch (mode) {
    case 'legacy':
      return phase === 'rolling-back' ? { next: back, wayBack: null } : { next: apply, wayBack: back };
    case 'draining':
      return heldFrom === 'legacy' ? { next: apply, wayBack: back } : { next: back, wayBack: null };
    case 'migrating':
      if (phase === 'rolling-back') return { next: back, wayBack: null };
      return { next: phase === 'verified' ? `keyferry cutover ${migration}` : apply, wayBack: back };
    case 'settled':
      if (phase === 'rolling-back') return { next: back, wayBack: null };
      return {
        next: `keyferry finalize ${migration}`,
        wayBack: committed === 'normal' || phase === 'finalizing' ? null : back,
      };
    case 'normal':
      return { next: `keyferry finalize ${migration}`, wayBack: null };
    case 'returning':
      return { next: back, wayBack: null };
  }
}
