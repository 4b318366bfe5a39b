/**
 * Where a migration of strategy `parallel` stands, and what may happen next. Pure: the engine asks, acts and reports.
 *
 *     forward: (phase, not begun) ──begin──► (phase, begun) ──pass──► (next phase, not begun) … ──► over
 *                     │    ▲ confirm               │ fail: it stays where it is, and says why
 *                     └────┴───── turn-back ───────┴──► back: step ──back-done──► step … ──► rolled-back
 *
 * `begin` is stored before the first effect of a phase and `pass` after its last check, each conditional on the version
 * last read. So a process killed anywhere leaves either a phase whose effects may have happened, and each can be repeated,
 * or one none of whose did (SPEC R90). Whoever reads the state knows the way back that is true.
 */
import type { MigrationId, PlanId } from '../../model/ids.ts';
import type { TrafficPhase } from '../../ports/load-balancer.ts';
import { isBefore, parallelPhases, phaseAfter, phaseFacts, phaseIndex, type ParallelPhase } from './phases.ts';
import { noSoak, type SoakState } from './soak.ts';
import { wayBackOf, type BackStep } from './way-back.ts';

export interface ParallelState {
  readonly migration: MigrationId;
  readonly plan: PlanId;
  readonly attempt: number;
  readonly appliedAs: string;
  /** Findings that were accepted by name; going on asks no second time. */
  readonly accepted: readonly string[];
  readonly course: 'forward' | 'back' | 'rolled-back' | 'over';
  /** Forward: the first one that was not passed. Back: where it was turned round. */
  readonly phase: ParallelPhase;
  /** Since when effects of `phase` may have happened, in milliseconds since 1970; null: none has. */
  readonly beganAtMs: number | null;
  /** The first step of the way back that is not done; null unless the course is back. */
  readonly backStep: BackStep | null;
  /** In their order. */
  readonly passed: readonly PassedPhase[];
  readonly confirmed: readonly Confirmation[];
  /** What the phase at hand failed with last; null: nothing since it was begun. */
  readonly failure: ParallelFailure | null;
  /** When writes were refused, as far as it is known. */
  readonly freeze: FreezeWindow | null;
  readonly soak: SoakState;
  readonly changedAtMs: number;
}

export interface PassedPhase {
  readonly phase: ParallelPhase;
  readonly beganAtMs: number;
  readonly atMs: number;
}

export interface Confirmation {
  readonly phase: ParallelPhase;
  /** `user@host` */
  readonly by: string;
  readonly atMs: number;
}

export interface ParallelFailure {
  readonly phase: ParallelPhase;
  readonly code: string;
  readonly message: string;
  readonly atMs: number;
}

/** Milliseconds since 1970, by the clock of whoever did it. */
export interface FreezeWindow {
  readonly fromMs: number;
  /** null: writes are refused still. */
  readonly toMs: number | null;
}

export interface ParallelStart {
  readonly migration: MigrationId;
  readonly plan: PlanId;
  readonly attempt: number;
  readonly appliedAs: string;
  readonly accepted: readonly string[];
  readonly atMs: number;
}

export function startParallel({ atMs, ...start }: ParallelStart): ParallelState {
  return {
    ...start,
    course: 'forward',
    phase: 'prepare',
    beganAtMs: null,
    backStep: null,
    passed: [],
    confirmed: [],
    failure: null,
    freeze: null,
    soak: noSoak,
    changedAtMs: atMs,
  };
}

export type ParallelEvent =
  | { readonly kind: 'confirm'; readonly by: string; readonly atMs: number }
  | { readonly kind: 'begin'; readonly atMs: number }
  | { readonly kind: 'pass'; readonly atMs: number }
  | { readonly kind: 'fail'; readonly code: string; readonly message: string; readonly atMs: number }
  | { readonly kind: 'turn-back'; readonly atMs: number }
  | { readonly kind: 'back-begin'; readonly step: BackStep; readonly atMs: number }
  | { readonly kind: 'back-done'; readonly step: BackStep; readonly atMs: number };

/** The state that follows; null where the event is not allowed. */
export function afterParallel(state: ParallelState, event: ParallelEvent): ParallelState | null {
  const isForward = state.course === 'forward';
  const isBack = state.course === 'back';
  const at = { changedAtMs: event.atMs };
  switch (event.kind) {
    case 'confirm':
      if (!isForward || state.beganAtMs !== null) return null;
      return {
        ...state,
        ...at,
        confirmed: [...state.confirmed, { phase: state.phase, by: event.by, atMs: event.atMs }],
      };
    case 'begin':
      return isForward ? { ...state, ...at, ...begun(state, event.atMs) } : null;
    case 'pass':
      return isForward && state.beganAtMs !== null
        ? { ...state, ...at, ...passed(state, state.beganAtMs, event.atMs) }
        : null;
    case 'fail': {
      if (!isForward && !isBack) return null;
      const { kind: _fail, ...why } = event;
      return { ...state, ...at, failure: { phase: state.phase, ...why } };
    }
    case 'turn-back': {
      const [first] = wayBackOf(state.phase, state.beganAtMs !== null).steps;
      return isForward && first !== undefined ? { ...state, ...at, course: 'back', backStep: first } : null;
    }
    case 'back-begin':
      // Refused before the balancers are told: what is said of the length is never too short.
      if (!isBack || state.backStep !== event.step) return null;
      return event.step === 'refuse-writes' && state.freeze?.toMs !== null
        ? { ...state, ...at, freeze: { fromMs: event.atMs, toMs: null } }
        : { ...state, ...at };
    case 'back-done':
      return isBack && state.backStep === event.step
        ? { ...state, ...at, ...steppedBack(state, event.step, event.atMs) }
        : null;
  }
}

function begun(state: ParallelState, atMs: number): Partial<ParallelState> {
  const isAgain = state.beganAtMs !== null;
  const freezes = state.phase === 'freeze' && !isAgain;
  return {
    failure: null,
    beganAtMs: isAgain ? state.beganAtMs : atMs,
    ...(freezes ? { freeze: { fromMs: atMs, toMs: null } } : {}),
  };
}

function passed(state: ParallelState, beganAtMs: number, atMs: number): Partial<ParallelState> {
  const following = phaseAfter(state.phase);
  return {
    passed: [...state.passed, { phase: state.phase, beganAtMs, atMs }],
    failure: null,
    beganAtMs: null,
    ...(following === null ? { course: 'over' } : { phase: following }),
    ...(state.phase === 'switch' ? { freeze: thawed(state.freeze, atMs) } : {}),
  };
}

function steppedBack(state: ParallelState, step: BackStep, atMs: number): Partial<ParallelState> {
  const { steps } = wayBackOf(state.phase, state.beganAtMs !== null);
  const following = steps[steps.indexOf(step) + 1] ?? null;
  return {
    failure: null,
    backStep: following,
    ...(following === null ? { course: 'rolled-back' } : {}),
    ...(step === 'lead-back' ? { freeze: thawed(state.freeze, atMs) } : {}),
  };
}

function thawed(freeze: FreezeWindow | null, toMs: number): FreezeWindow | null {
  return freeze === null ? null : { ...freeze, toMs };
}

/** Where the balancers lead, or are on their way to. */
export function trafficOf(state: Pick<ParallelState, 'course' | 'phase' | 'beganAtMs' | 'backStep'>): TrafficPhase {
  const { course, phase, beganAtMs, backStep } = state;
  if (course === 'rolled-back') return 'v2-rw';
  if (course === 'back') {
    if (backStep === 'lead-back' || backStep === 'restore') return 'v2-rw';
    return 'v3-ro';
  }
  if (beganAtMs !== null || course === 'over') return phaseFacts[phase].traffic;
  const before = parallelPhases[phaseIndex(phase) - 1];
  return before === undefined ? 'v2-rw' : phaseFacts[before].traffic;
}

export type ParallelStep =
  | { readonly kind: 'do'; readonly phase: ParallelPhase }
  /** A person has to say that it may be begun. */
  | { readonly kind: 'confirm'; readonly phase: ParallelPhase }
  /** Nothing failed, and time has to pass. */
  | { readonly kind: 'soak' }
  /** Only `finalize` goes on from here. */
  | { readonly kind: 'decommission' }
  | { readonly kind: 'back'; readonly step: BackStep }
  | { readonly kind: 'ended' };

/** The one step that comes next. */
export function parallelStep(
  state: Pick<ParallelState, 'course' | 'phase' | 'beganAtMs' | 'backStep' | 'confirmed'>,
  confirmations: readonly ParallelPhase[],
): ParallelStep {
  const { course, phase, beganAtMs, backStep, confirmed } = state;
  if (course === 'back' && backStep !== null) return { kind: 'back', step: backStep };
  if (course !== 'forward') return { kind: 'ended' };
  if (phase === 'decommission') return { kind: 'decommission' };
  const isAsked = confirmations.includes(phase) && beganAtMs === null;
  if (isAsked && !confirmed.some((each) => each.phase === phase)) return { kind: 'confirm', phase };
  return phase === 'soak' ? { kind: 'soak' } : { kind: 'do', phase };
}

/**
 * What a failure of the phase at hand means while nobody is there: within the freeze it is undone, because writers wait and
 * nothing is lost by it (SPEC R93); before it nothing was moved, and after the switch going back is a person's decision.
 */
export function isUndoneOnFailure(state: Pick<ParallelState, 'course' | 'phase' | 'beganAtMs'>): boolean {
  const { course, phase, beganAtMs } = state;
  if (course !== 'forward') return false;
  const isFrozen = !isBefore(phase, 'freeze') && !(phase === 'freeze' && beganAtMs === null);
  return isFrozen && (isBefore(phase, 'switch') || (phase === 'switch' && beganAtMs === null));
}

/** Milliseconds for which writes were refused, up to now where they are still; null: never. */
export function frozenForMs({ freeze }: Pick<ParallelState, 'freeze'>, nowMs: number): number | null {
  return freeze === null ? null : (freeze.toMs ?? nowMs) - freeze.fromMs;
}
