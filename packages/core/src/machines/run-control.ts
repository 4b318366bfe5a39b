/**
 * Run control: what somebody asks of an attempt from outside of its run. Kept in the state, so that any terminal reaches
 * a run on any machine.
 *
 *     going ──pause──► paused ──cancel──► cancelled          a cancelled attempt never goes on: only rollback, or the
 *       ▲  └───────────cancel──────────────▲                 apply of a new plan, leads away from it
 *       └────resume─────┘
 *
 * It belongs to one attempt: the next one begins without it, so that no forgotten pause or rate holds it back.
 */
import type { ThrottleLimits } from './throttle.ts';

/** Who asked, as people know them, and when. */
export interface ControlNote {
  readonly by: string;
  readonly atMs: number;
}

/** Takes the place of what the configuration says; null: as configured. */
export interface ThrottleOverride {
  readonly ratePerSecond: number | null;
  readonly targetP99Ms: number | null;
}

export interface RunControl {
  readonly paused: ControlNote | null;
  readonly cancelled: ControlNote | null;
  readonly throttle: (ThrottleOverride & ControlNote) | null;
}

export const noControl: RunControl = { paused: null, cancelled: null, throttle: null };

export type Standing = 'going' | 'paused' | 'cancelled';
export type ControlEvent = 'pause' | 'resume' | 'cancel';

/** The standing that follows, or null where the event is refused. */
export const standingTable: Readonly<Record<Standing, Readonly<Record<ControlEvent, Standing | null>>>> = {
  going: { pause: 'paused', resume: 'going', cancel: 'cancelled' },
  paused: { pause: 'paused', resume: 'going', cancel: 'cancelled' },
  cancelled: { pause: null, resume: null, cancel: 'cancelled' },
};

export function standingOf(control: RunControl): Standing {
  if (control.cancelled !== null) return 'cancelled';
  return control.paused === null ? 'going' : 'paused';
}

/** The control after `event`, or null where it is refused. A repeat changes nothing: the first note stands. */
export function controlAfter(control: RunControl, event: ControlEvent, note: ControlNote): RunControl | null {
  const standing = standingOf(control);
  const next = standingTable[standing][event];
  if (next === null || next === standing) return next === null ? null : control;
  return {
    ...control,
    paused: next === 'paused' ? note : null,
    cancelled: next === 'cancelled' ? note : null,
  };
}

/** An override of one limit leaves the other as it was overridden before; null takes all of them back. */
export function controlThrottled(
  control: RunControl,
  override: Partial<ThrottleOverride> | null,
  note: ControlNote,
): RunControl {
  if (override === null) return { ...control, throttle: null };
  const { ratePerSecond = null, targetP99Ms = null } = { ...control.throttle, ...override };
  return { ...control, throttle: { ratePerSecond, targetP99Ms, ...note } };
}

/** The limits as configured, with the overrides in their places. */
export function limitsUnder(limits: ThrottleLimits, { throttle }: RunControl): ThrottleLimits {
  return {
    ratePerSecond: throttle?.ratePerSecond ?? limits.ratePerSecond,
    targetP99Ms: throttle?.targetP99Ms ?? limits.targetP99Ms,
    sourceP99Ms: limits.sourceP99Ms,
  };
}
