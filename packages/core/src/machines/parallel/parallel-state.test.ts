/** Goal: each phase has its place, its traffic and its way back. Method: the whole course walked, and tables. */
import { describe, expect, it } from 'vitest';
import type { MigrationId, PlanId } from '../../model/ids.ts';
import {
  afterParallel,
  frozenForMs,
  isUndoneOnFailure,
  parallelStep,
  startParallel,
  trafficOf,
  type ParallelEvent,
  type ParallelState,
} from './parallel-state.ts';
import { parallelPhases, type ParallelPhase } from './phases.ts';
import { rollbackTable, wayBackOf } from './way-back.ts';

const start = startParallel({
  migration: 'm' as MigrationId,
  plan: 'p' as PlanId,
  attempt: 1,
  appliedAs: 'm',
  accepted: [],
  atMs: 0,
});

function after(state: ParallelState, ...events: readonly ParallelEvent[]): ParallelState {
  return events.reduce((now, event) => {
    const next = afterParallel(now, event);
    if (next === null) throw new Error(`${event.kind} is not allowed in ${now.phase}`);
    return next;
  }, state);
}

/** At that phase, which is not begun; every phase takes 10 ms. */
function at(phase: ParallelPhase): ParallelState {
  let state = start;
  while (state.phase !== phase) {
    const { changedAtMs: nowMs } = state;
    state = after(state, { kind: 'begin', atMs: nowMs }, { kind: 'pass', atMs: nowMs + 10 });
  }
  return state;
}
const begunAt = (phase: ParallelPhase): ParallelState => after(at(phase), { kind: 'begin', atMs: 1000 });

describe('a migration of strategy parallel', () => {
  it('leads traffic where each phase says, and no earlier than it is begun', () => {
    expect(parallelPhases.map((phase) => [phase, trafficOf(at(phase)), trafficOf(begunAt(phase))])).toEqual([
      ['prepare', 'v2-rw', 'v2-rw'],
      ['foresee', 'v2-rw', 'v2-rw'],
      ['freeze', 'v2-rw', 'v2-ro'],
      ['baseline', 'v2-ro', 'v2-ro'],
      ['export', 'v2-ro', 'v2-ro'],
      ['import', 'v2-ro', 'v2-ro'],
      ['compare', 'v2-ro', 'v2-ro'],
      ['read-on-3', 'v2-ro', 'v3-ro'],
      ['switch', 'v3-ro', 'v3-rw'],
      ['verify', 'v3-rw', 'v3-rw'],
      ['smoke', 'v3-rw', 'v3-rw'],
      ['soak', 'v3-rw', 'v3-rw'],
      ['decommission', 'v3-rw', 'v3-rw'],
    ]);
  });

  it('is undone by a failure only while writers wait and 3.x took no write', () => {
    const undone = parallelPhases.filter((phase) => isUndoneOnFailure(begunAt(phase)));
    expect(undone).toEqual(['freeze', 'baseline', 'export', 'import', 'compare', 'read-on-3']);
    expect(isUndoneOnFailure(at('switch'))).toBe(true);
    expect(isUndoneOnFailure(at('freeze'))).toBe(false);
    expect(isUndoneOnFailure(after(begunAt('import'), { kind: 'turn-back', atMs: 1 }))).toBe(false);
  });

  it('is asked for where the configuration says so, once, and before anything of the phase is done', () => {
    const asked = ['freeze'] as const;
    expect(parallelStep(at('freeze'), asked)).toEqual({ kind: 'confirm', phase: 'freeze' });
    const confirmed = after(at('freeze'), { kind: 'confirm', by: 'ann@ops', atMs: 5 });
    expect(parallelStep(confirmed, asked)).toEqual({ kind: 'do', phase: 'freeze' });
    expect(parallelStep(begunAt('freeze'), asked)).toEqual({ kind: 'do', phase: 'freeze' });
    expect(afterParallel(begunAt('freeze'), { kind: 'confirm', by: 'ann@ops', atMs: 5 })).toBeNull();
  });

  it('counts the freeze from before the balancers are told until the switch is proven', () => {
    expect(frozenForMs(at('freeze'), 99)).toBeNull();
    expect(frozenForMs(begunAt('freeze'), 1500)).toBe(500);
    // freeze, baseline, export, import, compare, read-on-3, switch
    expect(frozenForMs(at('verify'), 9999)).toBe(70);
  });

  it('counts a freeze anew on the way back', () => {
    const back = after(begunAt('soak'), { kind: 'turn-back', atMs: 2000 });
    const refusing = after(back, { kind: 'back-begin', step: 'refuse-writes', atMs: 3000 });
    expect(frozenForMs(refusing, 3400)).toBe(400);
    const again = after(refusing, { kind: 'back-begin', step: 'refuse-writes', atMs: 3300 });
    expect(again.freeze).toEqual(refusing.freeze);
  });

  it('goes back step by step, in order, and nowhere else', () => {
    const back = after(begunAt('verify'), { kind: 'turn-back', atMs: 0 });
    expect(parallelStep(back, [])).toEqual({ kind: 'back', step: 'refuse-writes' });
    expect(afterParallel(back, { kind: 'back-done', step: 'lead-back', atMs: 1 })).toBeNull();
    expect(afterParallel(back, { kind: 'pass', atMs: 1 })).toBeNull();
    const steps = wayBackOf('verify', true).steps.map((step) => ({ kind: 'back-done', step, atMs: 1 }) as const);
    const ended = after(back, ...steps);
    expect(ended.course).toBe('rolled-back');
    expect(parallelStep(ended, [])).toEqual({ kind: 'ended' });
    expect(trafficOf(ended)).toBe('v2-rw');
  });

  it('keeps what failed until it is begun again', () => {
    const failed = after(begunAt('import'), { kind: 'fail', code: 'store.timeout', message: 'slow', atMs: 7 });
    expect(failed.failure).toEqual({ phase: 'import', code: 'store.timeout', message: 'slow', atMs: 7 });
    expect(after(failed, { kind: 'begin', atMs: 8 }).failure).toBeNull();
  });
});

describe('rollbackTable', () => {
  it('has a way back in every phase but the last, which replays exactly where 3.x may have taken a write', () => {
    const rows = rollbackTable(null);
    expect(rows.map(({ phase, steps }) => [phase, steps.join(' ')])).toEqual([
      ['prepare', 'restore'],
      ['foresee', 'restore'],
      ['freeze', 'lead-back restore'],
      ['baseline', 'lead-back restore'],
      ['export', 'lead-back restore'],
      ['import', 'lead-back restore'],
      ['compare', 'lead-back restore'],
      ['read-on-3', 'lead-back restore'],
      ['switch', 'refuse-writes collect replay lead-back restore'],
      ['verify', 'refuse-writes collect replay lead-back restore'],
      ['smoke', 'refuse-writes collect replay lead-back restore'],
      ['soak', 'refuse-writes collect replay lead-back restore'],
      ['decommission', ''],
    ]);
  });

  it('wants 3.x emptied as soon as something was imported, before the freeze too', () => {
    const emptied = (bulk: boolean) =>
      rollbackTable(null, bulk)
        .filter(({ byHand }) => byHand.startsWith('give 3.x an empty'))
        .map(({ phase }) => phase);
    expect([emptied(false)[0], emptied(true)[0]]).toEqual(['import', 'foresee']);
    expect(wayBackOf('foresee', false, true).byHand).toBe('nothing');
    expect(wayBackOf('freeze', false, true).byHand).toMatch(/^give 3.x an empty/);
  });

  it('marks the row that is true now, as far as the phase was begun', () => {
    const now = (begun: boolean) => rollbackTable({ phase: 'switch', begun }).filter((row) => row.now);
    expect(now(false).map(({ steps }) => steps)).toEqual([['lead-back', 'restore']]);
    expect(now(true)[0]?.steps).toContain('replay');
  });
});
