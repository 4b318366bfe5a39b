/** A stage on which a replication was copied and proven by apply, so that functions go on from there. */
import { keyFromText, type Message } from '@keyferry/core';
import { bytes, Stage, type RunHooks, type StageOptions } from './stage.ts';

export const replicate = { pauseMaxMs: 10_000, requestLifeMs: 2000 };

export async function following(options: StageOptions = {}) {
  const stage = new Stage({ ...options, spec: { strategy: 'replicate', replicate, ...options.spec } });
  stage.fillSource({ a: '1', b: '2', c: '3' });
  const plan = await stage.plan();
  await stage.replicate(plan);
  const put = (name: string, value: string): void =>
    void stage.source.put(keyFromText(`src/${name}`), bytes(value), null);
  const remove = (name: string): void => void stage.source.delete(keyFromText(`src/${name}`));
  return { stage, plan, put, remove };
}

/** A process that dies as it first emits a message: nothing wakes it any more, and none of its errors is handled. */
export const crashAt = (code: Message['code']): Pick<RunHooks, 'during'> => ({
  during: (message, _interrupt, crash) => {
    if (message.code === code) crash();
  },
});

/** An invocation that ends in the middle: as it emits a message for the nth time. */
export const dieAt = (code: Message['code'], nth = 1): Pick<RunHooks, 'during'> => {
  let seen = 0;
  return {
    during: (message) => {
      if (message.code === code) seen += 1;
      if (message.code === code && seen === nth) throw new Error('killed');
    },
  };
};
