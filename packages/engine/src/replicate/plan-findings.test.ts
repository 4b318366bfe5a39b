/** Goal: a plan says what a pair of stores or its rules cannot do, before anything is written. Method: one thing at a time. */
import { keyFromText, type Transform } from '@keyferry/core';
import { describe, expect, it } from 'vitest';
import { Stage, type StageOptions } from '../../testing/stage.ts';

const replicate = { pauseMaxMs: 10_000, requestLifeMs: 2000 };

async function findingsOf(options: StageOptions): Promise<readonly string[]> {
  const stage = new Stage({ ...options, spec: { strategy: 'replicate', replicate, ...options.spec } });
  stage.fillSource({ a: '1' });
  const { plan } = (await stage.plan()).reader();
  return plan.findings.map(({ code, detail }) => `${code}: ${detail}`);
}

const moves: Transform = {
  name: 'upper case',
  inverse: null,
  reprefix: () => null,
  apply: (record) => ({
    kind: 'kept',
    record: { ...record, key: keyFromText(`dst/${record.key.slice(4).toUpperCase()}`) },
  }),
};

describe('a plan of strategy replicate', () => {
  it('has nothing against stores that can all of it', async () => {
    expect(await findingsOf({})).toEqual([]);
  });

  it('blocks rules that move keys in another way than one prefix for another', async () => {
    const [found] = await findingsOf({ spec: { transform: moves } });
    expect(found).toMatch(/^replicate\.rules: .*nobody can tell its key.*; the rules have no inverse/);
  });

  it.each([
    { spec: { prune: true }, says: 'prune' },
    { spec: { onConflict: 'overwrite' }, says: 'onConflict' },
    { spec: { selection: { only: ['dst/a'], exclude: [] } }, says: 'cut over by itself' },
  ] as const)('blocks $says', async ({ spec, says }) => {
    expect(
      (await findingsOf({ spec })).some((found) => found.startsWith('replicate.rules') && found.includes(says)),
    ).toBe(true);
  });

  it('takes a source that shows no one state, for whatever is read too early or too late is told', async () => {
    expect(await findingsOf({ source: { capabilities: { pinnedView: false } } })).toEqual([]);
  });

  it('asks before it takes equal records for its own', async () => {
    const stage = new Stage({ spec: { strategy: 'replicate', replicate } });
    stage.fillSource({ a: '1' });
    stage.putTarget('a', '1');
    const { plan } = (await stage.plan()).reader();
    expect(plan.findings).toMatchObject([{ code: 'replicate.adopted', accept: true, count: 1 }]);
  });
});
