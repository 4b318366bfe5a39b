/**
 * Goal: records that could not be written stop a run before they are too many, are lost by nobody, and are written once
 * their cause is mended; through all of it each record is under exactly one count.
 * Method: a target that refuses long records, and later takes them; failures planted between a write and its letter.
 */
import { keyFromText, scannedOf, type StateStore } from '@keyferry/core';
import { MemoryStore } from '@keyferry/core/testing';
import { describe, expect, it } from 'vitest';
import { bytes, failureOf, Stage, textOf } from '../testing/stage.ts';
import { readRun } from './runs.ts';
import { attemptScope } from './state-items.ts';

const long = 'x'.repeat(50);

/** `long` of 20 records are refused by the target as apply meets it. */
async function narrowed(longOnes: number, deadLettersMax = 1000) {
  const stage = new Stage({ spec: { workers: 1 } });
  const spec = { runLimits: { ...stage.spec.runLimits, deadLettersMax } };
  for (let i = 0; i < 20; i += 1) {
    const value = i < longOnes ? `${long}${i}` : `${i}`;
    stage.source.put(keyFromText(`src/k${String(i).padStart(2, '0')}`), bytes(value));
  }
  const plan = await stage.plan();
  const narrow = new MemoryStore({
    name: 'new',
    sharedWith: stage.target,
    capabilities: { recordBytesMax: 30, batchKeysMax: 2 },
  });
  return { stage, plan, narrow: { target: narrow, spec }, spec };
}
const source = (name: string) => keyFromText(`src/${name}`);

describe('the budget for dead letters', () => {
  it('stops the run at a checkpoint once it is exceeded, with every letter named', async () => {
    const { stage, plan, narrow } = await narrowed(20, 3);
    const error = await failureOf(stage.apply(plan, narrow));
    expect(error).toMatchObject({ code: 'dead-letters.over-budget', details: { deadLettersMax: 3 } });
    const { counts, phase, lock } = await stage.status();
    expect({ phase, lock }).toEqual({ phase: 'applying', lock: null });
    expect(counts?.deadLetters).toBeGreaterThan(3);
    expect(counts?.deadLetters).toBeLessThan(20);
    expect(await stage.deadLetters()).toHaveLength(counts?.deadLetters ?? 0);
    expect((error as { details: { letters: number } }).details.letters).toBe(counts?.deadLetters);
  });

  it('is not exceeded by as many as it allows', async () => {
    const { stage, plan, narrow } = await narrowed(3, 3);
    expect(await stage.apply(plan, narrow)).toMatchObject({ outcome: 'deviated', counts: { deadLetters: 3 } });
  });

  it('is the budget of a run: whoever applies again has seen the letters so far', async () => {
    const { stage, plan, narrow } = await narrowed(20, 3);
    const letters: number[] = [];
    for (let runs = 0; runs < 2; runs += 1) {
      await failureOf(stage.apply(plan, narrow));
      letters.push((await stage.status()).counts?.deadLetters ?? 0);
    }
    expect(letters[0]).toBeLessThan(letters[1] ?? 0);
  });

  it('does not keep a stopped run from its end once the cause is mended', async () => {
    const { stage, plan, narrow } = await narrowed(20, 3);
    await failureOf(stage.apply(plan, narrow));
    const dead = (await stage.status()).counts?.deadLetters;
    const retried = await stage.retryLetters();
    expect(retried).toMatchObject({ outcome: 'unfinished', verify: null, tried: { written: dead, deadLetters: 0 } });
    expect(await stage.apply(plan)).toMatchObject({ outcome: 'done', counts: { written: 20, deadLetters: 0 } });
    expect(await stage.deadLetters()).toEqual([]);
  });
});

describe('a retry of dead letters', () => {
  it('writes them once their cause is mended, and the migration is verified', async () => {
    const { stage, plan, narrow } = await narrowed(5);
    await stage.apply(plan, narrow);
    const result = await stage.retryLetters();
    expect(result).toMatchObject({
      outcome: 'done',
      tried: { written: 5, deadLetters: 0 },
      counts: { written: 20, deadLetters: 0 },
      verify: { verdict: 'agree' },
    });
    const run = await stage.run((engine) => readRun(engine, 'shop'));
    expect(run?.deadLetters).toEqual([]);
    expect(run?.chunks.map(({ counts }) => [counts.written, counts.deadLetters])).toEqual([
      [10, 0],
      [10, 0],
    ]);
    const status = await stage.status();
    expect(status).toMatchObject({ phase: 'verified', counts: { written: 20, deadLetters: 0 }, deadLetters: [] });
    expect(status.state?.counts).toMatchObject({ written: 20, deadLetters: 0 });
    expect(await stage.verifyApplied()).toMatchObject({ deviations: [] });
    expect(await stage.rollBack()).toMatchObject({ counts: { removed: 20 }, left: 0 });
  });

  it('leaves those that are still refused, and says so', async () => {
    const { stage, plan, narrow } = await narrowed(2);
    await stage.apply(plan, narrow);
    expect(await stage.retryLetters(narrow)).toMatchObject({
      outcome: 'deviated',
      tried: { written: 0, deadLetters: 2 },
      counts: { written: 18, deadLetters: 2 },
      stillDead: [{ targetKey: { text: 'dst/k00' } }, { targetKey: { text: 'dst/k01' } }],
    });
    expect(await stage.status()).toMatchObject({
      phase: 'applied',
      deadLetters: { length: 2 },
      step: { next: 'keyferry runs show shop --dead-letters' },
    });
  });

  it('puts each letter under the count of what became of it', async () => {
    const { stage, plan, narrow } = await narrowed(4);
    await stage.apply(plan, narrow);
    stage.source.put(source('k00'), bytes('short now'));
    stage.putTarget('k01', `${long}1`);
    stage.putTarget('k02', 'by an application');
    stage.source.delete(source('k03'));
    const result = await stage.retryLetters();
    expect(result).toMatchObject({
      outcome: 'deviated',
      tried: { written: 1, equal: 1, kept: 1, notCarried: 1, deadLetters: 0 },
      counts: { written: 17, equal: 1, kept: 1, notCarried: 1, deadLetters: 0 },
    });
    expect(scannedOf(result.counts)).toBe(20);
    expect(result.deviations).toContain('the source is not as the plan saw it');
    expect(stage.targetValues()).toMatchObject({ k00: 'short now', k02: 'by an application' });
    expect(await stage.deadLetters()).toEqual([]);
  });

  it('writes nothing over what somebody wrote meanwhile', async () => {
    const { stage, plan, narrow } = await narrowed(1);
    await stage.apply(plan, narrow);
    stage.putTarget('k00', 'theirs');
    await stage.retryLetters();
    expect(textOf(stage.target.snapshot().get(keyFromText('dst/k00'))?.value)).toBe('theirs');
  });

  it('that died between a write and its letter is repeated, and counts the record once', async () => {
    const { stage, plan, narrow } = await narrowed(3);
    await stage.apply(plan, narrow);
    let failures = 1;
    const state: StateStore = Object.assign(Object.create(stage.state) as StateStore, {
      write: (...[kind, scope, id, item, expected]: Parameters<StateStore['write']>) => {
        if (kind === 'dead-letter' && failures > 0) {
          failures -= 1;
          return Promise.reject(new TypeError('the process dies here'));
        }
        return stage.state.write(kind, scope, id, item, expected);
      },
    });
    expect(await failureOf(stage.retryLetters({ state }))).toBeInstanceOf(TypeError);
    expect(Object.keys(stage.targetValues())).toHaveLength(20);
    expect(await stage.status()).toMatchObject({ counts: { written: 17, deadLetters: 3 } });
    expect(await stage.retryLetters()).toMatchObject({
      outcome: 'done',
      tried: { written: 3 },
      counts: { written: 20, deadLetters: 0 },
    });
  });

  it('has nothing to do where nothing is dead, and verifies all the same', async () => {
    const { stage, plan } = await narrowed(0);
    await stage.apply(plan);
    expect(await stage.retryLetters()).toMatchObject({ outcome: 'done', verify: { verdict: 'agree' } });
  });

  it('is refused before an apply', async () => {
    const { stage } = await narrowed(0);
    expect(await failureOf(stage.retryLetters())).toMatchObject({
      code: 'phase.not-allowed',
      details: { command: 'runs retry' },
    });
  });

  it('is refused when the target is not at the epoch of this state', async () => {
    const { stage, plan, narrow } = await narrowed(1);
    await stage.apply(plan, narrow);
    await stage.target.control(stage.spec.migration).raiseEpoch({ attempt: 9, token: 1 });
    expect(await failureOf(stage.retryLetters())).toMatchObject({ code: 'epoch.lost' });
    expect(Object.keys(stage.targetValues())).toHaveLength(19);
  });
});

describe('a letter that no checkpoint passed', () => {
  it('is dropped by the run that goes on: its record is decided there, and counted once', async () => {
    const { stage, plan } = await narrowed(0);
    await failureOf(stage.apply(plan, { chunksMax: 1 }));
    const scope = attemptScope('shop', 1);
    const [sourceKey, targetKey] = [{ text: 'src/k15' }, { text: 'dst/k15' }];
    const letter = { sourceKey, targetKey, chunk: 'c00001', reason: 'refused', atMs: 0, resolved: null };
    await stage.state.write('dead-letter', scope, JSON.stringify(targetKey), letter, 'absent');
    expect(await stage.retryLetters()).toMatchObject({ outcome: 'unfinished', notReached: 1, tried: { written: 0 } });
    expect(await stage.apply(plan)).toMatchObject({ outcome: 'done', counts: { written: 20, deadLetters: 0 } });
    expect(await stage.deadLetters()).toEqual([]);
  });
});
