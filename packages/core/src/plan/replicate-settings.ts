/** Strategy `replicate`, as the configuration says it and as a plan shows it. */
import type { FeedCapabilities } from '../ports/change-feed.ts';
import type { RollCallTerms } from '../machines/online/roll-call.ts';
import type { PrimarySwitch } from '../ports/primary-switch.ts';

export interface ReplicateSettings {
  /** Longest that writes may be held at a cutover, in milliseconds; past it the cutover is undone. */
  readonly pauseMaxMs: number;
  /** Longest time that a request of an application can take effect after it was sent, in milliseconds. */
  readonly requestLifeMs: number;
  /** Which instances of the application acknowledge a hold. Absent: those that are registered when it begins. */
  readonly instances?: NonNullable<RollCallTerms['instances']>;
}

/** What a reviewer must know of how it will go. */
export interface ReplicatePlan extends ReplicateSettings {
  readonly freeze: { readonly kind: PrimarySwitch['kind']; readonly where: string };
  readonly feed: FeedCapabilities;
  /** Of the target, for the way back. */
  readonly feedBack: FeedCapabilities;
}
