/**
 * Roll call: before writes are held, who will be asked to acknowledge it, and whether each of them is there to do so.
 *
 *     registered ──all were seen alive──► acknowledgements        nobody is registered ──► silence
 *         │  └──one has lapsed, too few──► refused: nothing is held
 *         └──not seen yet, named gone lately──► waiting: applications go on meanwhile
 *
 * A hold stops every writer, so it is not the place to find out that an instance died yesterday: whoever is waited for has
 * renewed while somebody watched. What counts as proof is settled here and stays, because those who register during a hold
 * say nothing of those who never do (SPEC R101, R102). Pure; times are passed in.
 */
import type { InstanceId, Missing } from './barrier.ts';

/** How it is known that nobody writes any more. */
export type HoldProof = 'acknowledgements' | 'silence';

/** alive: it renewed, or came, while somebody watched, and its lease runs. unseen: there was no time yet. */
export type Sighting = 'alive' | 'unseen' | 'lapsed';

export interface CalledInstance {
  readonly instance: InstanceId;
  readonly sighting: Sighting;
  /** When an operator named it gone, in milliseconds of the caller's clock; null: nobody did. */
  readonly goneAtMs: number | null;
}

export interface RollCallTerms {
  /** none: not all writers register, so acknowledgements prove nothing. Else how many there must be; null: whoever is there. */
  readonly instances: { readonly min: number } | 'none' | null;
  readonly nowMs: number;
  /** Longest time in milliseconds after which a request that was sent can still take effect. */
  readonly requestLifeMs: number;
}

export type RollCall =
  | { readonly kind: 'complete'; readonly proof: HoldProof }
  | { readonly kind: 'waiting'; readonly on: readonly InstanceId[] }
  /** `short`: how many more instances would have to register. */
  | { readonly kind: 'refused'; readonly on: readonly Missing[]; readonly short: number };

export function rollCall(
  called: readonly CalledInstance[],
  { instances, nowMs, requestLifeMs }: RollCallTerms,
): RollCall {
  if (instances === 'none') return { kind: 'complete', proof: 'silence' };
  const there = called.filter(({ goneAtMs }) => goneAtMs === null);
  const lapsed = there.filter(({ sighting }) => sighting === 'lapsed');
  const short = Math.max(0, (instances?.min ?? 0) - there.length);
  if (lapsed.length > 0 || short > 0) {
    return { kind: 'refused', on: lapsed.map(({ instance }) => ({ instance, why: 'lapsed' })), short };
  }
  // Exactly the longest life still counts, as at a barrier.
  const waited = called.filter(({ sighting, goneAtMs }) =>
    goneAtMs === null ? sighting === 'unseen' : nowMs - goneAtMs <= requestLifeMs,
  );
  if (waited.length > 0) return { kind: 'waiting', on: waited.map(({ instance }) => instance) };
  return { kind: 'complete', proof: there.length > 0 ? 'acknowledgements' : 'silence' };
}
