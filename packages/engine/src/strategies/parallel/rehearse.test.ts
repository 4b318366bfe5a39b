/**
 * Goal: a rehearsal says passed only where a migration would have come through and back, and says where it would not.
 * Method: the stage of strategy `parallel` as the throw-away servers; no client writes to it but the rehearsal itself.
 */
import { finding } from '@keyferry/core';
import { describe, expect, it } from 'vitest';
import { ParallelStage } from '../../../testing/parallel-stage.ts';

const held = ['w1', 'w2', 'w3'];

/** Nobody knows the throw-away servers. */
function quietStage(): ParallelStage {
  const stage = new ParallelStage({ soak: { lengthMs: 0, errorShareMax: 0.01, p99MaxMs: 100, gapMaxMs: 60_000 } });
  stage.clientsAct = () => {
    stage.advance(7);
    return Promise.resolve();
  };
  return stage;
}

describe('a rehearsal', () => {
  it('goes there and back, and counts what came back', async () => {
    const stage = quietStage();
    const rehearsal = await stage.rehearse(held);
    expect(rehearsal).toMatchObject({
      passed: true,
      failure: null,
      losses: { unforeseenTotal: 0 },
      wayBack: { kind: 'replayed', written: 2, cameBack: 2 },
    });
    expect(rehearsal.phases.map(({ phase }) => phase).slice(0, 3)).toEqual(['prepare', 'foresee', 'freeze']);
    expect(rehearsal.phases.at(-1)?.phase).toBe('soak');
    expect(rehearsal.freeze?.measuredMs).toBeGreaterThan(0);
    expect([...stage.old].filter((each) => each.startsWith('r'))).toHaveLength(2);
    expect(stage.traffic).toEqual({ a: 'v2-rw', b: 'v2-rw' });
  });

  it.each(['new.import', 'new.compare', 'shift v3-ro'])(
    'says in which phase %s failed, and that it was undone',
    async (failing) => {
      const rehearsal = await quietStage().rehearse(held, { failing });
      expect(rehearsal).toMatchObject({
        passed: false,
        failure: { code: 'store.request-refused', message: expect.stringContaining(failing) },
        wayBack: { kind: 'undone' },
      });
    },
  );

  it('names what the throw-away 2.x did not take, and does not pass where an own load balancer is not fit', async () => {
    const stage = quietStage();
    stage.notFilled = ['role alice: the throw-away 2.x did not take it'];
    expect(await stage.rehearse(held)).toMatchObject({
      passed: true,
      besides: { carriedTotal: 0, notCarried: [] },
      notRehearsed: stage.notFilled,
    });
    const unfit = quietStage();
    unfit.ownFindings = [finding('balancer.unfit', { count: 1, detail: 'edge: mode tcp', fix: 'mend it' })];
    expect(await unfit.rehearse(held)).toMatchObject({ passed: false, failure: null, findings: unfit.ownFindings });
  });

  it('does not pass where 3.x holds what nobody foresaw', async () => {
    const stage = quietStage();
    const onCall = (name: string): void => {
      if (name === 'new.compare') stage.fresh.delete('w2');
    };
    expect(await stage.rehearse(held, { onCall })).toMatchObject({
      passed: false,
      failure: { phase: 'compare', code: 'parallel.check-failed' },
      losses: { unforeseenTotal: 1, unforeseen: [{ name: 'w2' }] },
    });
  });

  it('does not pass where a write did not come back', async () => {
    const stage = quietStage();
    const onCall = (name: string): void => {
      if (name !== 'front.holds') return;
      for (const each of stage.old) if (each.startsWith('r')) stage.old.delete(each);
    };
    const { passed, wayBack } = await stage.rehearse(held, { onCall });
    expect({ passed, wayBack }).toMatchObject({ passed: false, wayBack: { written: 2, cameBack: 0 } });
  });
});
