/**
 * What people ask of a run from outside of it: read and changed here, heard by the run itself in run-watch.ts. Each
 * change is conditional on the control last seen, and is kept among the migration's events.
 */
import {
  controlAfter,
  controlThrottled,
  instantText,
  KeyferryError,
  nextStep,
  noControl,
  standingOf,
  type ControlEvent,
  type MigrationId,
  type MigrationState,
  type NextStep,
  type Phase,
  type RunControl,
  type ThrottleOverride,
} from '@keyferry/core';
import { recordEvent } from './events.ts';
import type { Environment } from './migration.ts';
import { withRetry } from './retry.ts';
import { attemptScope, migrationsScope, readItem, writeItem } from './state-items.ts';

export const controlId = 'control';

export type ControlRequest =
  { readonly kind: ControlEvent } | { readonly kind: 'throttle'; readonly override: Partial<ThrottleOverride> | null };

export interface ControlChange {
  readonly migration: MigrationId;
  readonly state: MigrationState;
  readonly control: RunControl;
  /** False: it was so before. */
  readonly changed: boolean;
  readonly step: NextStep;
}

/** Where a run can be asked for something. Taking a pause back is never wrong. */
const phasesFor: Readonly<Record<ControlRequest['kind'], readonly Phase[]>> = {
  pause: ['applying', 'applied', 'replicating', 'cut-over'],
  throttle: ['applying', 'applied', 'replicating'],
  cancel: ['applying'],
  // After a cutover that asked for a pause, the phase is another one.
  resume: ['applying', 'applied', 'verified', 'replicating', 'cutting-over', 'cut-over', 'turning-back', 'rolled-back'],
};

const done: Readonly<Record<ControlRequest['kind'], string>> = {
  pause: 'paused',
  resume: 'resumed',
  cancel: 'cancelled',
  throttle: 'throttled',
};

/** @throws {KeyferryError} `phase.not-allowed` where nothing runs that could hear it; `run.cancelled` after a cancel. */
export async function requestControl(
  env: Environment,
  migration: MigrationId,
  request: ControlRequest,
  by: string,
): Promise<ControlChange> {
  const entry = await withRetry(env, 'state', () => env.state.read('migration', migrationsScope, migration));
  const state = entry?.item ?? null;
  const phase = state?.phase ?? 'new';
  if (state === null || !phasesFor[request.kind].includes(phase)) {
    const { next } = nextStep(migration, phase, state?.appliedAs ?? `${migration}.kfplan`);
    throw new KeyferryError('phase.not-allowed', { migration, phase, command: `runs ${request.kind}`, next });
  }
  const scope = attemptScope(migration, state.attempt);
  const plan = await readItem(env, 'plan', migration, state.plan);
  const follows = plan?.item.replicate !== undefined;
  for (;;) {
    const current = await withRetry(env, 'control', () => env.state.read('run-control', scope, controlId));
    const before = current?.item ?? noControl;
    const control = decide(before, request, { by, atMs: env.clock.nowMs() }, migration);
    const step = stepUnder(control, migration, state, follows);
    if (control === before) return { migration, state, control, changed: false, step };
    const change = await writeItem(env, 'run-control', scope, controlId, control, current?.version ?? 'absent');
    if (change.kind === 'lost') continue; // somebody else asked for something in between: decide anew
    const message = `${migration} was ${done[request.kind]} by ${by}`;
    await recordEvent(env, migration, { type: `run.${done[request.kind]}`, message, run: state.run });
    return { migration, state, control, changed: true, step };
  }
}

function decide(
  before: RunControl,
  request: ControlRequest,
  note: { readonly by: string; readonly atMs: number },
  migration: MigrationId,
): RunControl {
  if (standingOf(before) === 'cancelled' && request.kind !== 'cancel') throw cancelledError(migration, before);
  if (request.kind === 'throttle') return controlThrottled(before, request.override, note);
  return controlAfter(before, request.kind, note) ?? before;
}

/** The control of an attempt; of none, `noControl`. */
export async function readControl(
  env: Environment,
  migration: MigrationId,
  state: Pick<MigrationState, 'attempt'> | null,
): Promise<RunControl> {
  if (state === null) return noControl;
  const scope = attemptScope(migration, state.attempt);
  const entry = await withRetry(env, 'control', () => env.state.read('run-control', scope, controlId));
  return entry?.item ?? noControl;
}

/** @throws {KeyferryError} `run.paused`, `run.cancelled` */
export function assertMayRun(migration: MigrationId, control: RunControl): void {
  if (control.cancelled !== null) throw cancelledError(migration, control);
  if (control.paused === null) return;
  const { by, atMs } = control.paused;
  throw new KeyferryError('run.paused', { migration, by, since: instantText(atMs) });
}

export function cancelledError(migration: MigrationId, { cancelled }: RunControl): KeyferryError<'run.cancelled'> {
  const { by = '', atMs = 0 } = cancelled ?? {};
  return new KeyferryError('run.cancelled', { migration, by, since: instantText(atMs) });
}

/** The one safe next command, under what was asked for: the phase alone does not know of it. @param follows as for `nextStep` */
export function stepUnder(
  control: RunControl,
  migration: MigrationId,
  state: Pick<MigrationState, 'phase' | 'appliedAs'>,
  follows = false,
): NextStep {
  const step = nextStep(migration, state.phase, state.appliedAs, follows);
  if (state.phase === 'rolling-back' || state.phase === 'rolled-back') return step;
  switch (standingOf(control)) {
    case 'going':
      return step;
    case 'paused':
      return { ...step, next: `keyferry runs resume ${migration}` };
    case 'cancelled':
      return { ...step, next: `keyferry plan ${migration} --out ${migration}.kfplan` };
  }
}
