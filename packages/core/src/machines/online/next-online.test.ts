/** Goal: whoever is woken at night is told one safe command. Method: every mode with every phase; the ones that matter by name. */
import { describe, expect, it } from 'vitest';
import type { MigrationId } from '../../model/ids.ts';
import { phaseTable, type Phase } from '../migration-phase.ts';
import { modes, type Rung } from './mode-ladder.ts';
import { nextOnline } from './next-online.ts';

const rung = (mode: Rung['mode'], heldFrom: Rung['heldFrom'] = null, committed: Rung['committed'] = null): Rung => ({
  mode,
  heldFrom,
  committed,
});
const next = (at: Rung, phase: Phase) => nextOnline('m' as MigrationId, at, phase, 'm.kfplan');
const back = 'keyferry rollback m';

describe('the next command online', () => {
  it.each([
    [rung('legacy'), 'new', 'keyferry plan m --out m.kfplan', null],
    [rung('legacy'), 'applying', 'keyferry apply m.kfplan', back],
    [rung('draining', 'legacy'), 'applying', 'keyferry apply m.kfplan', back],
    [rung('draining', 'settled'), 'rolling-back', back, null],
    [rung('migrating'), 'applying', 'keyferry apply m.kfplan', back],
    [rung('migrating'), 'verified', 'keyferry cutover m', back],
    [rung('migrating'), 'rolling-back', back, null],
    [rung('settled'), 'verified', 'keyferry finalize m', back],
    [rung('settled'), 'finalizing', 'keyferry finalize m', null],
    [rung('settled', null, 'normal'), 'finalizing', 'keyferry finalize m', null],
    [rung('normal', null, 'normal'), 'finalizing', 'keyferry finalize m', null],
    [rung('normal', null, 'normal'), 'finalized', 'keyferry report m', null],
    [rung('returning', null, 'legacy'), 'rolling-back', back, null],
    [rung('legacy', null, 'legacy'), 'rolling-back', back, null],
    [rung('legacy', null, 'legacy'), 'rolled-back', 'keyferry plan m --out m.kfplan', null],
  ] as const)('%j in phase %s', (at, phase, command, wayBack) => {
    expect(next(at, phase)).toEqual({ next: command, wayBack });
  });

  it('is a command in every mode and phase', () => {
    for (const mode of modes) {
      for (const phase of Object.keys(phaseTable) as Phase[]) {
        expect(next(rung(mode), phase).next).toMatch(/^keyferry \w+ /);
      }
    }
  });
});
