/**
 * Goal: no walk is made while writers wait whose answer is known, none is missing, and a difference is said to be what it is (SPEC R165).
 * Method: the stage of strategy `parallel`; what it was asked for, and what an apply fails with.
 */
import { describe, expect, it } from 'vitest';
import { ParallelStage } from '../../../testing/parallel-stage.ts';
import { failureOf } from '../../../testing/stage.ts';

describe('the export within the freeze', () => {
  it('walks 2.x once within the freeze, holds the export against that, and another export against it; a second walk is behind it', async () => {
    const stage = new ParallelStage();
    const plan = await stage.plan();
    stage.proofs = [];
    await stage.apply(plan);
    const [freeze, switched] = ['shift v2-ro', 'shift v3-rw'].map((name) => stage.calls.indexOf(name));
    const walksIn = (calls: readonly string[]): number => calls.filter((name) => name === 'old.walk').length;
    expect(walksIn(stage.calls.slice(freeze, switched))).toBe(1);
    expect(stage.calls.slice(freeze, switched).filter((name) => name === 'old.still')).toHaveLength(1);
    expect(walksIn(stage.calls.slice(switched))).toBe(1);
    expect(stage.proofs).toEqual(['walked', 'kept']);
  });

  it('says of an export that is another than the baseline that somebody wrote, or what it lacks', async () => {
    const written = new ParallelStage();
    const onCall = (name: string): void => {
      if (name === 'old.export' && written.traffic['a'] === 'v2-ro') written.old.add('behind our back');
    };
    expect(await failureOf(written.apply(await written.plan(), { onCall }))).toMatchObject({
      code: 'parallel.undone',
      details: { phase: 'export', why: expect.stringContaining('was written to since the baseline') },
    });
    const lacking = new ParallelStage();
    const plan = await lacking.plan();
    lacking.lacking = [[], [{ kind: 'version', name: 'w1', what: 'is another' }]];
    expect(await failureOf(lacking.apply(plan))).toMatchObject({
      code: 'parallel.undone',
      details: { phase: 'export', why: expect.stringContaining('what the registry shows in 1') },
    });
  });

  it('undoes the freeze when the second export holds something else, and names it', async () => {
    const stage = new ParallelStage();
    const plan = await stage.plan();
    const onCall = (name: string): void => void (name === 'new.import' && stage.old.add('behind our back'));
    expect(await failureOf(stage.apply(plan, { onCall }))).toMatchObject({
      code: 'parallel.undone',
      details: { phase: 'compare', why: expect.stringContaining('version behind our back is there') },
    });
    expect(stage.traffic).toEqual({ a: 'v2-rw', b: 'v2-rw' });
  });

  it('says after the switch that somebody wrote to 2.x behind the last export of the freeze', async () => {
    const stage = new ParallelStage();
    const plan = await stage.plan();
    const onCall = (name: string): void => void (name === 'shift v3-ro' && stage.old.add('behind our back'));
    expect(await failureOf(stage.apply(plan, { onCall }))).toMatchObject({
      code: 'parallel.check-failed',
      details: {
        phase: 'verify',
        what: expect.stringMatching(/past the balancers \(version: \d+, now \d+\).*rollback/),
      },
    });
    expect(stage.traffic).toEqual({ a: 'v3-rw', b: 'v3-rw' });
    expect(await stage.course()).toMatchObject({ course: 'forward', phase: 'verify' });
    await stage.rollBack();
    expect([stage.old.has('behind our back'), stage.missingIn('old')]).toEqual([true, []]);
  });
});
