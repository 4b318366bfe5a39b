/** Requests of a process that goes on, told apart by what went on beside it. */

/** In milliseconds since 1970. */
export interface Span {
  readonly fromMs: number;
  readonly untilMs: number;
}

/** When it was sent, in milliseconds since 1970, and how long its answer took. */
export type TimedRequest = readonly [atMs: number, tookMs: number];

export async function spanOf<T>(work: () => Promise<T>): Promise<{ readonly span: Span; readonly result: T }> {
  const fromMs = Date.now();
  const result = await work();
  return { span: { fromMs, untilMs: Date.now() }, result };
}

/** @returns how long each took that was under way at any time of it */
export function timesWithin(requests: readonly TimedRequest[], { fromMs, untilMs }: Span): readonly number[] {
  return requests.filter(([atMs, tookMs]) => atMs <= untilMs && atMs + tookMs >= fromMs).map(([, tookMs]) => tookMs);
}
