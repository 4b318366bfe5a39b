/**
 * Retries: here and nowhere else. Bounded, with full jitter from the injected randomness, and only for failures whose
 * code says `backoff`. Every write that passes through is guarded, so repeating one whose answer was lost is harmless.
 *
 * A call may be made of calls that are repeated themselves (`lentRetry`). An error whose tries were used up inside is not tried
 * again outside (SPEC R130): bounds would multiply, and a store that is gone would take minutes to be called that.
 */
import { KeyferryError, type Repeat, type StopSignal } from '@keyferry/core';
import type { Environment } from './migration.ts';

/** Tries in all, the first included: with the waits below, half a minute at most. */
export const triesMax = 9;
/** Of what is to work for weeks: about ten minutes, for a store that restarts or elects. */
const patientTriesMax = 120;
const waitFirstMs = 200;
const waitMaxMs = 10_000;

type Retrying = Pick<Environment, 'clock' | 'random' | 'host' | 'triesMax'>;

/** For work that goes on by itself: a tail that gave up after half a minute would need somebody at night. */
export function patient<E extends Environment>(env: E): E {
  return { ...env, triesMax: patientTriesMax };
}

/** Errors of lent retries, thrown after the last try. */
const usedUp = new WeakSet<KeyferryError>();

/**
 * @param what names the call in the message, e.g. `write c00003`.
 * @throws the last error, when it is no `backoff`, the tries are used up, or `signal` aborts meanwhile.
 */
export async function withRetry<T>(
  { clock, random, host, triesMax: most = triesMax }: Retrying,
  what: string,
  call: () => Promise<T>,
  signal?: StopSignal,
): Promise<T> {
  for (let tries = 1; ; tries += 1) {
    try {
      return await call();
    } catch (error) {
      if (!(error instanceof KeyferryError) || error.retry !== 'backoff' || tries >= most) throw error;
      if (usedUp.has(error)) throw error;
      if (signal?.aborted === true) throw error;
      const waitMs = Math.ceil((random.uint32() / 2 ** 32) * Math.min(waitMaxMs, waitFirstMs * 2 ** (tries - 1)));
      host.emit({ code: 'store.retrying', data: { what, code: error.code, tries, waitMs } });
      await clock.sleep(waitMs, signal);
    }
  }
}

/** For adapters one of whose calls is thousands of requests: each of them is repeated by itself. */
export function lentRetry(env: Retrying): Repeat {
  return async (what, call, signal) => {
    try {
      return await withRetry(env, what, call, signal);
    } catch (error) {
      if (error instanceof KeyferryError) usedUp.add(error);
      throw error;
    }
  };
}

/**
 * Iterates as `withRetry` calls. A failed iterator is finished, so the next try opens another one; whoever calls keeps
 * count of what came so far, if `open` is to begin behind it.
 */
export async function* iterateWithRetry<T>(
  env: Retrying,
  what: string,
  open: () => AsyncIterable<T>,
  signal?: StopSignal,
): AsyncGenerator<T> {
  let items = open()[Symbol.asyncIterator]();
  const readNext = async (): Promise<IteratorResult<T>> => {
    try {
      return await items.next();
    } catch (error) {
      items = open()[Symbol.asyncIterator]();
      throw error;
    }
  };
  try {
    for (;;) {
      const next = await withRetry(env, what, readNext, signal);
      if (next.done === true) return;
      yield next.value;
    }
  } finally {
    await items.return?.();
  }
}
