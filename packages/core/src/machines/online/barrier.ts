/**
 * Barrier: the wait between two modes of the ladder.
 *
 *     announced ──every registered instance acknowledged, and as many as there must be──► held
 *
 * A quorum is not enough: one instance that still writes the source loses that write. Nor is a lease: a process that was
 * stopped between its check and its write goes on after any time, so a lapsed registration is waited for like any other.
 * It is passed over only if it can no longer write (its mode holds writes back, or the store refuses them), or if an
 * operator has named it gone and the longest life of a request has passed since: what it sent before it died may still be
 * on its way (SPEC R29).
 *
 * An instance that is in doubt stops itself: operation-gate.ts is the other half. Pure; times are passed in.
 */
import { invariant } from '../../errors/invariant.ts';
import type { Brand } from '../../model/brand.ts';
import type { Rung } from './mode-ladder.ts';

/** Grows by one with each announcement of a mode. Never the epoch of a fence, which is the target's. */
export type SwitchEpoch = Brand<number, 'SwitchEpoch'>;
export type InstanceId = Brand<string, 'InstanceId'>;

/** One application instance, as the switch's store shows it. */
export interface Registration {
  readonly instance: InstanceId;
  /** Highest epoch it acknowledged: none of its operations still runs in an older one. 0: none yet. */
  readonly acknowledged: SwitchEpoch;
  /** It has not renewed within its lease, by the watch of whoever looks. */
  readonly lapsed: boolean;
  /** It can write nothing in any mode that it may be behind in: `cannotWrite`, or stores that refuse it (a revoked role). */
  readonly harmless: boolean;
  /** When an operator named it gone, in milliseconds of the caller's clock; null: nobody did. */
  readonly goneAtMs: number | null;
}

export interface BarrierTerms {
  /** At least so many instances must have acknowledged: a barrier never holds because nobody came. 1 or more. */
  readonly instancesMin: number;
  readonly nowMs: number;
  /** Longest time in milliseconds after which a request that was sent can still take effect. */
  readonly requestLifeMs: number;
}

export interface Missing {
  readonly instance: InstanceId;
  /** behind: alive, and still in an older mode. gone-lately: its last requests may still be under way. */
  readonly why: 'behind' | 'lapsed' | 'gone-lately';
}

export type Barrier =
  | { readonly kind: 'held' }
  /** `short`: how many more instances would have to register and acknowledge. */
  | { readonly kind: 'waiting'; readonly on: readonly Missing[]; readonly short: number };

export function barrierAt(
  announced: SwitchEpoch,
  registrations: readonly Registration[],
  { instancesMin, nowMs, requestLifeMs }: BarrierTerms,
): Barrier {
  invariant(instancesMin >= 1, `a barrier for ${instancesMin} instances`);
  const on: Missing[] = [];
  let acknowledged = 0;
  for (const registration of registrations) {
    const { instance, lapsed, harmless, goneAtMs } = registration;
    invariant(registration.acknowledged <= announced, `${instance} acknowledged an epoch that nobody announced`);
    if (goneAtMs !== null) {
      // Exactly the longest life still counts: a tick too long costs a tick, a tick too short costs a write.
      if (registration.acknowledged < announced && nowMs - goneAtMs <= requestLifeMs)
        on.push({ instance, why: 'gone-lately' });
    } else if (registration.acknowledged === announced) acknowledged += 1;
    else if (!(lapsed && harmless)) on.push({ instance, why: lapsed ? 'lapsed' : 'behind' });
  }
  const short = Math.max(0, instancesMin - acknowledged);
  return on.length === 0 && short === 0 ? { kind: 'held' } : { kind: 'waiting', on, short };
}

/**
 * Whether an instance that is behind can write nothing any more, whichever of the modes since its last acknowledgement it
 * is in. It may still read; what it reads past its lease it tells nobody (operation-gate.ts).
 * @param rung the one announced
 * @param targetComparesEpoch the target refuses writes of an older epoch than the switch's (SPEC R37)
 */
export function cannotWrite(
  { mode, heldFrom, committed }: Rung,
  announced: SwitchEpoch,
  acknowledged: SwitchEpoch,
  targetComparesEpoch: boolean,
): boolean {
  switch (mode) {
    case 'returning':
      // Only `draining` comes before it.
      return acknowledged === announced - 1 || targetComparesEpoch;
    case 'legacy':
      return committed === 'legacy' && (acknowledged === announced - 1 || targetComparesEpoch);
    case 'draining':
      return heldFrom !== 'legacy' && targetComparesEpoch;
    case 'migrating':
    case 'settled':
    case 'normal':
      return targetComparesEpoch;
  }
}
