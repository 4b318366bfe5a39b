/**
 * Goal: what the rules make of a record is what is planned, written and verified; what they leave out is counted; what
 * they cannot be applied to ends the plan before anything is written.
 * Method: the whole flow on memory stores, with rules in the specification.
 */
import { compose, encodeBase64, gzip, selectKeys, type Transform } from '@keyferry/core';
import { describe, expect, it } from 'vitest';
import { bytes, failureOf, Stage } from '../testing/stage.ts';

const secretsStay = selectKeys('exclude dst/secret/**', (key) => !key.startsWith('dst/secret/'));

function stageWith(transform: Transform): Stage {
  const stage = new Stage({ spec: { transform } });
  stage.fillSource({ a: 'plain', 'secret/b': 'hidden', c: '' });
  return stage;
}

describe('rules', () => {
  it('decide what is written, and verify compares with that', async () => {
    const stage = stageWith(compose([secretsStay, encodeBase64()]));
    const applied = await stage.apply(await stage.plan());
    expect(applied).toMatchObject({ outcome: 'done', counts: { written: 2, notCarried: 1 } });
    expect(stage.targetValues()).toEqual({ a: 'cGxhaW4=', c: '' });
    expect(await stage.verifyApplied()).toMatchObject({ deviations: [], result: { verdict: 'agree' } });
  });

  it('find a target equal that holds what they would write', async () => {
    const stage = stageWith(compose([encodeBase64()]));
    stage.putTarget('a', 'cGxhaW4=');
    const { plan } = (await stage.plan()).reader();
    expect(plan.totals.actions).toMatchObject({ equal: { keys: 1 }, create: { keys: 2 } });
    expect(plan).toMatchObject({ rules: ['value to base64'], wayBack: 'lossless' });
  });

  it('that leave a key out leave it out of what is scanned as well as counted', async () => {
    const { plan } = (await stageWith(compose([secretsStay])).plan()).reader();
    expect(plan.totals).toMatchObject({ scanned: 3, notCarried: { 'rule.excluded': 1 } });
  });

  it('that cannot be applied end the plan with the key named, and nothing is written', async () => {
    const broken: Transform = {
      ...gzip(),
      apply: ({ key, ...rest }) =>
        key === 'dst/c' ? { kind: 'failed', detail: 'no' } : { kind: 'kept', record: { key, ...rest } },
    };
    const stage = stageWith(compose([broken]));
    expect(await failureOf(stage.plan())).toMatchObject({ code: 'rule.failed', details: { key: 'dst/c' } });
    expect(stage.targetValues()).toEqual({});
  });

  it('make a plan stale when what they would write changes', async () => {
    const stage = stageWith(compose([encodeBase64()]));
    const plan = await stage.plan();
    stage.source.put(stage.spec.rule.sourcePrefix, bytes('late'));
    expect(await failureOf(stage.apply(plan))).toMatchObject({ code: 'plan.stale' });
  });
});
