/**
 * Goal: of the conflicts that a plan kept, verify names the ones that changed, and those only.
 * Method: three kept conflicts, applied; then one of them moves in each way, and all are verified again.
 */
import { keyFromText } from '@keyferry/core';
import { describe, expect, it } from 'vitest';
import { bytes, Stage } from '../testing/stage.ts';

const hourMs = 3_600_000;

async function kept() {
  const stage = new Stage();
  stage.fillSource({ a: '1', b: '2', c: '3' });
  stage.source.put(keyFromText('src/t'), bytes('ends'), stage.kernel.nowMs + hourMs);
  for (const name of ['a', 'b', 't']) stage.putTarget(name, 'kept');
  expect(await stage.apply(await stage.plan())).toMatchObject({ outcome: 'done', verify: { kept: 3 } });
  const verify = () => stage.verify().then((answer) => answer && ('result' in answer ? answer.result : answer));
  return { stage, verify };
}

describe('a kept conflict', () => {
  it('is no difference as long as it is as it was', async () => {
    const { verify } = await kept();
    expect(await verify()).toMatchObject({ verdict: 'agree', kept: 3, differences: [], differencesTotal: 0 });
  });

  it('that changed in the target is the only difference', async () => {
    const { stage, verify } = await kept();
    stage.putTarget('b', 'other');
    expect(await verify()).toMatchObject({
      verdict: 'differ',
      kept: 2,
      differences: [{ key: { text: 'dst/b' }, what: 'value differs' }],
      differencesTotal: 1,
    });
  });

  it('that went from the target is missing, and the others are kept', async () => {
    const { stage, verify } = await kept();
    stage.target.delete(keyFromText('dst/b'));
    const differences = [{ key: { text: 'dst/b' }, what: 'missing in the target' }];
    expect(await verify()).toMatchObject({ verdict: 'differ', kept: 2, differences, differencesTotal: 1 });
  });

  it('that was settled is none any more', async () => {
    const { stage, verify } = await kept();
    stage.putTarget('b', '2');
    expect(await verify()).toMatchObject({ verdict: 'agree', kept: 2 });
  });

  it('whose source record reached the end of its time is missed by nobody', async () => {
    const { stage, verify } = await kept();
    await stage.run(() => stage.kernel.sleep(hourMs + 1));
    expect(await verify()).toMatchObject({ verdict: 'agree', kept: 2, targetOnly: 1, differences: [] });
  });

  it('does not hide a difference that the plan did not keep', async () => {
    const { stage, verify } = await kept();
    stage.putTarget('c', 'other');
    const differences = [{ key: { text: 'dst/c' }, what: 'value differs' }];
    expect(await verify()).toMatchObject({ verdict: 'differ', kept: 3, differences, differencesTotal: 1 });
  });
});
