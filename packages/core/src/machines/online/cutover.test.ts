/** Goal: a hold ends in a flip only when everything is so, and in an undoing else. Method: the facts, one at a time. */
import { describe, expect, it } from 'vitest';
import { allCutoverRules, cutoverStep, type CutoverFacts } from './cutover.ts';

const ready: CutoverFacts = {
  to: 'target',
  announced: { primary: 'source', writes: 'held' },
  isOurs: true,
  pastDeadline: false,
  isQuiet: true,
  acknowledged: 'all',
  isDrained: true,
  compared: 'equal',
  isGranted: true,
  isFenced: true,
  isAnchored: true,
};

describe('cutoverStep', () => {
  it('flips only when all of it is so', () => {
    expect(cutoverStep(ready)).toEqual({ kind: 'flip' });
  });

  it.each([
    { lacks: { isQuiet: false, isFenced: false }, step: { kind: 'wait' } },
    { lacks: { isDrained: false }, step: { kind: 'drain' } },
    { lacks: { compared: 'not-yet' }, step: { kind: 'compare' } },
    { lacks: { isGranted: false }, step: { kind: 'grant' } },
    { lacks: { isFenced: false }, step: { kind: 'fence' } },
    { lacks: { isAnchored: false }, step: { kind: 'anchor' } },
    { lacks: { isQuiet: false }, step: { kind: 'undo', why: 'moved' } },
    { lacks: { compared: 'differ' }, step: { kind: 'undo', why: 'differs' } },
    { lacks: { pastDeadline: true }, step: { kind: 'undo', why: 'deadline' } },
    { lacks: { isQuiet: false, isFenced: false, acknowledged: 'waiting' }, step: { kind: 'wait' } },
    { lacks: { acknowledged: 'waiting', pastDeadline: true }, step: { kind: 'undo', why: 'unacknowledged' } },
    { lacks: { acknowledged: 'lapsed' }, step: { kind: 'undo', why: 'unacknowledged' } },
  ] as const)('without $lacks it is $step', ({ lacks, step }) => {
    expect(cutoverStep({ ...ready, ...lacks })).toEqual(step);
  });

  it('undoes what a run that died had held, whatever else is true', () => {
    expect(cutoverStep({ ...ready, isOurs: false })).toEqual({ kind: 'undo', why: 'left-behind' });
  });

  it('holds writes first, and is done once the other store is primary', () => {
    expect(cutoverStep({ ...ready, announced: { primary: 'source', writes: 'open' } })).toEqual({ kind: 'hold' });
    expect(cutoverStep({ ...ready, announced: { primary: 'target', writes: 'open' } })).toEqual({ kind: 'done' });
    expect(cutoverStep({ ...ready, to: 'source', announced: { primary: 'target', writes: 'open' } })).toEqual({
      kind: 'hold',
    });
  });

  it('leaves out what a rule asks for that is switched off', () => {
    const lacking = { ...ready, isQuiet: false, isDrained: false, compared: 'differ' } as const;
    const off = { ...allCutoverRules, quiet: false, drain: false, compare: false };
    expect(cutoverStep(lacking, off)).toEqual({ kind: 'flip' });
  });
});
