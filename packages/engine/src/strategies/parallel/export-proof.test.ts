/**
 * Goal: within the freeze no walk is made whose answer is known, and a difference is said to be what it is (SPEC R165).
 * Method: the stage of strategy `parallel`; what it was asked for, and what an apply fails with.
 */
import { describe, expect, it } from 'vitest';
import { ParallelStage } from '../../../testing/parallel-stage.ts';
import { failureOf } from '../../../testing/stage.ts';

describe('the export within the freeze', () => {
  it('walks 2.x twice within the freeze, and holds the export against the first of both', async () => {
    const stage = new ParallelStage();
    const plan = await stage.plan();
    stage.proofs = [];
    await stage.apply(plan);
    const freeze = stage.calls.indexOf('shift v2-ro');
    expect(stage.calls.slice(freeze).filter((name) => name === 'old.walk')).toHaveLength(2);
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
      details: { phase: 'export', why: expect.stringContaining('the export lacks 1') },
    });
  });
});
