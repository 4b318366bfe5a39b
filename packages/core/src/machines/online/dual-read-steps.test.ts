/**
 * Goal: the controller takes the steps of the picture in the header, in that order, and none before its condition.
 * Method: each goal is walked from the first rung to its end by doing what is asked; then what refuses and what waits.
 */
import { describe, expect, it } from 'vitest';
import type { Barrier } from './barrier.ts';
import { dualReadStep, type DualReadFacts, type DualReadGoal, type DualReadStep } from './dual-read-steps.ts';
import { firstRung, type Rung } from './mode-ladder.ts';

const held: Barrier = { kind: 'held' };
const waiting: Barrier = { kind: 'waiting', on: [], short: 1 };
const nothingDone: DualReadFacts = {
  rung: firstRung,
  barrier: held,
  timedOut: false,
  backfilled: false,
  verified: false,
  fenced: false,
  drained: false,
  cleared: false,
  cleaned: false,
};

const factOf: Partial<Record<DualReadStep['kind'], keyof DualReadFacts>> = {
  backfill: 'backfilled',
  verify: 'verified',
  fence: 'fenced',
  drain: 'drained',
  clear: 'cleared',
  'clean-up': 'cleaned',
};

/** Does what is asked until nothing is. @returns what was asked, and the facts at the end */
function walk(
  goal: DualReadGoal,
  from: DualReadFacts,
): { readonly asked: readonly string[]; readonly facts: DualReadFacts } {
  const asked: string[] = [];
  let facts = from;
  for (let step = dualReadStep(goal, facts); step.kind !== 'done'; step = dualReadStep(goal, facts)) {
    asked.push('rung' in step ? `${step.kind} ${step.rung.mode}` : step.kind);
    const fact = factOf[step.kind];
    if ('rung' in step) facts = { ...facts, rung: step.rung };
    else if (fact === undefined) break;
    else facts = { ...facts, [fact]: true };
  }
  return { asked, facts };
}

const applied = walk('apply', nothingDone).facts;
const cutOver = walk('cutover', applied).facts;
const finalized = walk('finalize', cutOver).facts;
const at = (rung: Partial<Rung> & Pick<Rung, 'mode'>): DualReadFacts => ({
  ...cutOver,
  rung: { ...firstRung, ...rung },
});

describe('the controller', () => {
  it.each<[DualReadGoal, DualReadFacts, readonly string[]]>([
    ['apply', nothingDone, ['announce draining', 'announce migrating', 'backfill', 'verify']],
    ['cutover', applied, ['announce settled', 'fence']],
    ['finalize', cutOver, ['announce normal', 'clean-up']],
    ['finalize', applied, ['announce settled', 'fence', 'announce normal', 'clean-up']],
    ['apply', cutOver, []],
    ['rollback', nothingDone, []],
    ['rollback', at({ mode: 'draining', heldFrom: 'legacy' }), ['announce legacy']],
    ['rollback', applied, ['announce draining', 'fence', 'drain', 'announce returning', 'clear', 'announce legacy']],
    ['rollback', cutOver, ['announce draining', 'drain', 'announce returning', 'clear', 'announce legacy']],
  ])('walks to the end of %s', (goal, facts, asked) => expect(walk(goal, facts).asked).toEqual(asked));

  it.each<[DualReadGoal, DualReadFacts]>([
    ['apply', { ...applied, rung: { ...firstRung, mode: 'settled' } }],
    ['apply', { ...at({ mode: 'settled' }), barrier: waiting, timedOut: true }],
    ['apply', { ...at({ mode: 'normal', committed: 'normal' }), barrier: waiting, timedOut: true }],
    ['cutover', at({ mode: 'normal', committed: 'normal' })],
  ])('neither waits for nor undoes what lies beyond the end of %s', (goal, facts) => {
    expect(dualReadStep(goal, facts)).toEqual({ kind: 'done' });
  });

  it.each<[DualReadGoal, DualReadFacts, string]>([
    ['rollback', finalized, 'past-normal'],
    ['rollback', at({ mode: 'settled', committed: 'normal' }), 'past-normal'],
    ['apply', at({ mode: 'draining', heldFrom: 'migrating' }), 'rolling-back'],
    ['cutover', at({ mode: 'returning', heldFrom: 'settled' }), 'rolling-back'],
  ])('refuses %s there', (goal, facts, why) => expect(dualReadStep(goal, facts)).toEqual({ kind: 'refused', why }));

  it.each<[DualReadGoal, DualReadFacts]>([
    ['apply', at({ mode: 'draining', heldFrom: 'legacy' })],
    ['cutover', at({ mode: 'settled' })],
    ['finalize', at({ mode: 'normal', committed: 'normal' })],
    ['rollback', at({ mode: 'draining', heldFrom: 'settled' })],
    ['rollback', at({ mode: 'returning', heldFrom: 'settled' })],
    ['rollback', at({ mode: 'legacy', committed: 'legacy' })],
  ])('waits for the barrier of its mode: %s', (goal, facts) => {
    expect(dualReadStep(goal, { ...facts, barrier: waiting }).kind).toBe('wait');
  });

  it.each<[DualReadGoal, Partial<Rung> & Pick<Rung, 'mode'>, string]>([
    ['apply', { mode: 'draining', heldFrom: 'legacy' }, 'legacy'],
    ['cutover', { mode: 'settled' }, 'migrating'],
    ['finalize', { mode: 'normal', committed: 'normal' }, 'settled'],
    ['rollback', { mode: 'draining', heldFrom: 'settled' }, 'settled'],
  ])('gives up a barrier that timed out, to the mode before: %s', (goal, rung, mode) => {
    const step = dualReadStep(goal, { ...at(rung), barrier: waiting, timedOut: true });
    expect(step).toMatchObject({ kind: 'give-up', rung: { mode } });
  });

  it.each<[DualReadGoal, Partial<Rung> & Pick<Rung, 'mode'>]>([
    ['finalize', { mode: 'settled' }],
    ['finalize', { mode: 'settled', committed: 'normal' }],
    ['rollback', { mode: 'returning', heldFrom: 'migrating', committed: 'legacy' }],
    ['rollback', { mode: 'legacy', committed: 'legacy' }],
  ])('never gives up where only one end is left: %s', (goal, rung) => {
    expect(dualReadStep(goal, { ...at(rung), barrier: waiting, timedOut: true }).kind).toBe('wait');
  });
});
