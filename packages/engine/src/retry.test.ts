/** Goal: retries are bounded, wait between tries, and never repeat what a repeat cannot help. Method: virtual time. */
import { KeyferryError, keyFromText, type Repeat } from '@keyferry/core';
import { MemoryStateStore } from '@keyferry/core/testing';
import { describe, expect, it } from 'vitest';
import { bytes, failureOf, Stage } from '../testing/stage.ts';
import { lentRetry, patient, triesMax, withRetry } from './retry.ts';
import { attemptScope } from './state-items.ts';

const unreachable = (): KeyferryError => new KeyferryError('store.unreachable', { store: 'new', detail: 'planted' });

describe('withRetry', () => {
  it.each([0, 1, triesMax - 1])('gets through after %i failures', async (failures) => {
    const stage = new Stage();
    let left = failures;
    const answer = await stage.run((engine) =>
      withRetry(engine, 'call', async () => {
        if (left === 0) return 'answer';
        left -= 1;
        throw unreachable();
      }),
    );
    expect(answer).toBe('answer');
    expect(stage.messages.filter(({ code }) => code === 'store.retrying')).toHaveLength(failures);
  });

  it('gives up after the last try, with the error of the store', async () => {
    const stage = new Stage();
    const failure = unreachable();
    let tries = 0;
    const call = (): Promise<never> => {
      tries += 1;
      return Promise.reject(failure);
    };
    expect(await failureOf(stage.run((engine) => withRetry(engine, 'call', call)))).toBe(failure);
    expect(tries).toBe(triesMax);
  });

  it('repeats one request of a call, and not the call around it once that has used up its tries', async () => {
    const stage = new Stage();
    let [walks, failures] = [0, 3];
    const asked: number[] = [];
    const walk = (repeat: Repeat) => async () => {
      walks += 1;
      for (const page of [1, 2, 3]) {
        await repeat(
          `page ${page}`,
          () => {
            asked.push(page);
            failures -= page === 2 ? 1 : 0;
            return page === 2 && failures >= 0 ? Promise.reject(unreachable()) : Promise.resolve();
          },
          new AbortController().signal,
        );
      }
    };
    await stage.run((engine) => withRetry(engine, 'walk', walk(lentRetry(engine))));
    expect({ walks, asked }).toEqual({ walks: 1, asked: [1, 2, 2, 2, 2, 3] });
    [walks, failures] = [0, Infinity];
    const failing = stage.run((engine) => withRetry(engine, 'walk', walk(lentRetry(engine))));
    expect(await failureOf(failing)).toMatchObject({ code: 'store.unreachable' });
    expect({ walks, tries: asked.filter((page) => page === 2).length - 4 }).toEqual({ walks: 1, tries: triesMax });
  });

  it.each([
    new KeyferryError('fence.lost', { chunk: 'c00000' }),
    new KeyferryError('store.auth-failed', { store: 'new', detail: 'planted' }),
    new Error('something else'),
  ])('does not repeat $message', async (error) => {
    const stage = new Stage();
    let tries = 0;
    const call = (): Promise<never> => {
      tries += 1;
      return Promise.reject(error);
    };
    expect(await failureOf(stage.run((engine) => withRetry(engine, 'call', call)))).toBe(error);
    expect(tries).toBe(1);
  });

  it('has more patience where it works for weeks', async () => {
    const stage = new Stage();
    let left = triesMax * 10;
    const answer = await stage.run((engine) =>
      withRetry(patient(engine), 'call', async () => {
        if (left === 0) return 'answer';
        left -= 1;
        throw unreachable();
      }),
    );
    expect(answer).toBe('answer');
  });

  it('stops waiting when it is told to stop', async () => {
    const stage = new Stage();
    const stop = new AbortController();
    const failure = unreachable();
    const work = stage.run((engine) => {
      stage.kernel.at(stage.kernel.nowMs, () => stop.abort());
      return withRetry(engine, 'call', () => Promise.reject(failure), stop.signal);
    });
    expect(await failureOf(work)).toBe(failure);
    expect(stage.messages).toHaveLength(1);
  });
});

describe('a tail whose source is out of reach for minutes', () => {
  const replicate = { pauseMaxMs: 10_000, requestLifeMs: 2000 };

  it.each([true, false])('outlasts it only where it is to follow on (%s)', async (follow) => {
    const stage = new Stage({ spec: { strategy: 'replicate', replicate } });
    stage.fillSourceWith(5);
    const plan = await stage.plan();
    let begun = false;
    const work = stage.replicate(plan, {
      follow,
      during: ({ code }, interrupt) => {
        if (code === 'tail.generation') interrupt();
        if (code !== 'chunk.done' || begun) return;
        begun = true;
        stage.source.put(keyFromText('src/late'), bytes('1'));
        for (let i = 0; i < triesMax * 5; i += 1) stage.source.failNext('feedRead');
      },
    });
    expect(await failureOf(work)).toMatchObject({ code: follow ? 'run.interrupted' : 'store.unreachable' });
    expect('late' in stage.targetValues()).toBe(follow);
  });
});

describe('an apply whose target stays out of reach', () => {
  it('fails with the error of the store, gives its lock and chunks back, and goes on later', async () => {
    const stage = new Stage({ spec: { workers: 1 } });
    stage.fillSourceWith(25);
    const plan = await stage.plan();
    for (let i = 0; i < triesMax; i += 1) stage.target.failNext('write');
    expect(await failureOf(stage.apply(plan))).toMatchObject({ code: 'store.unreachable' });
    expect((await stage.status()).lock).toBeNull();
    const state = new MemoryStateStore({ database: stage.state.database });
    const chunk = await state.read('chunk', attemptScope(stage.spec.migration, 1), 'c00000');
    expect(chunk?.item.phase).toBe('pending');
    expect(await stage.apply(plan)).toMatchObject({ outcome: 'done', resumed: true, counts: { written: 25 } });
  });

  it.each(['before', 'after'] as const)(
    'does not notice a single failure of a write (%s its effect)',
    async (moment) => {
      const stage = new Stage();
      stage.fillSourceWith(25);
      const plan = await stage.plan();
      stage.target.failNext('write', moment);
      stage.target.failNext('claimChunk', moment);
      stage.target.failNext('raiseEpoch', moment);
      stage.source.failNext('scan', moment);
      expect(await stage.apply(plan)).toMatchObject({ outcome: 'done', counts: { written: 25 } });
      expect(stage.target.revision()).toBe(25);
    },
  );
});
