/** One failure in the table of codes.ts, and in the parts that it is put together from. */
export type RetryClass = 'never' | 'backoff' | 'restart';

export interface Entry<D extends object> {
  readonly retry: RetryClass;
  /** What happened, the same words each time. */
  readonly summary: string;
  /** What to do; a command stands on its own line. */
  readonly remedy: string;
  /** Type only: the facts that come with the error. */
  readonly details?: D;
}

export const entry = <D extends object>(e: Omit<Entry<D>, 'details'>): Entry<D> => e;
