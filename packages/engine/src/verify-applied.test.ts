/**
 * Goal: verify never says that both sides agree when it compared nothing, or something else than was applied.
 * Method: an applied migration; then the source, the target or the configuration is changed behind it.
 */
import { keyFromText } from '@keyferry/core';
import { MemoryStore } from '@keyferry/core/testing';
import { describe, expect, it } from 'vitest';
import { failureOf, rule, Stage } from '../testing/stage.ts';

async function applied(): Promise<Stage> {
  const stage = new Stage();
  stage.fillSourceWith(12);
  await stage.apply(await stage.plan());
  return stage;
}

describe('verify of an applied migration', () => {
  it('finds nothing amiss right after apply', async () => {
    const stage = await applied();
    expect(await stage.verifyApplied()).toMatchObject({ deviations: [], result: { verdict: 'agree' } });
  });

  it('notices a source that was emptied, although an empty source agrees with anything', async () => {
    const stage = await applied();
    for (const key of stage.source.snapshot().keys()) stage.source.delete(key);
    const { deviations, result } = await stage.verifyApplied();
    expect(result.verdict).toBe('agree');
    expect(deviations).toEqual(['the source is not as the plan saw it']);
  });

  it.each([
    { name: 'another prefix', spec: { rule: { ...rule, targetPrefix: keyFromText('typo/') } } },
    { name: 'other rules', spec: { rulesDigest: 'others' } },
    { name: 'another store', spec: { targetStore: 'third' } },
  ])('refuses $name than the plan was applied with', async ({ spec }) => {
    const stage = await applied();
    expect(await failureOf(stage.verifyApplied({ spec }))).toMatchObject({ code: 'plan.mismatch' });
  });

  it('refuses a target that is another one behind the same name', async () => {
    const stage = await applied();
    const target = new MemoryStore({ name: 'elsewhere' });
    expect(await failureOf(stage.verifyApplied({ target }))).toMatchObject({ code: 'plan.mismatch' });
  });

  it('has nothing to compare before the first apply and after a rollback', async () => {
    expect(await failureOf(new Stage().verifyApplied())).toMatchObject({ code: 'phase.not-allowed' });
    const stage = await applied();
    await stage.rollBack();
    expect(await failureOf(stage.verifyApplied())).toMatchObject({ code: 'phase.not-allowed' });
  });

  it('takes back the verdict when the sides differ now, and gives it again when they agree', async () => {
    const stage = await applied();
    stage.putTarget('k0003', 'changed');
    expect((await stage.verifyApplied()).deviations).toEqual(['1 key differs between the sides']);
    expect((await stage.status()).phase).toBe('applied');
    stage.putTarget('k0003', 'value 3');
    await stage.verifyApplied();
    expect((await stage.status()).phase).toBe('verified');
  });
});
