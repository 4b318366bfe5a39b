/**
 * A slice: a bounded part of a migration, done before a deadline by whoever is called for it, in most cases a function.
 *
 *     dispatch   takes a submitted plan up and begins its attempt      holds the lock while it does
 *     backfill   claims chunks and copies them                        no lock: fences keep workers apart
 *     verify     compares chunks; the first begins, the last ends it   holds the lock for those two moments
 *     sweep      looks after leases that ended, and says how far it is  no lock
 *
 * The lock of a migration keeps people and their commands apart, and is held by no slice for longer than one step. What
 * lets any number of slices work beside each other, and beside a rollback that somebody starts meanwhile, is what lets a
 * sleeper wake up late: the chunk's fence and the migration's epoch, which the target compares with each write.
 */
import {
  KeyferryError,
  standingOf,
  type MigrationId,
  type MigrationSpec,
  type MigrationState,
  type Phase,
  type PlanDocument,
  type PlanId,
  type RunControl,
} from '@keyferry/core';
import { SharedView } from '../shared-view.ts';
import type { Views } from '../image.ts';
import type { Engine } from '../migration.ts';
import { assertPlanFits } from '../plan-fits.ts';
import { readControl } from '../run-control.ts';
import { readItem, readMigration } from '../state-items.ts';
import type { Deadline } from './deadline.ts';
import { Kept } from './kept.ts';

export interface SliceRequest {
  readonly deadline: Deadline;
  /** Who does it, as people know it: shown to whoever meets its lock. */
  readonly holder: string;
  /** What a warm environment has kept from earlier slices. */
  readonly home: SliceHome;
}

/** Views that slices of one process share. Close it when the process ends in good order. */
export class SliceHome {
  readonly sources = new Kept<SharedView>();
  readonly sides = new Kept<Views>();

  async close(): Promise<void> {
    await Promise.all([this.sources.drop(), this.sides.drop()]);
  }
}

/**
 * done: nothing of this kind is left. more: time ran out; call again. waiting: what is left is in other hands; call again
 * later. idle: there is nothing to do, and `why` says so. stopped: somebody or something stopped the attempt.
 */
export type SliceOutcome = 'done' | 'more' | 'waiting' | 'idle' | 'stopped';

export interface SliceEnd {
  readonly outcome: SliceOutcome;
  readonly migration: MigrationId;
  readonly plan: PlanId | null;
  readonly attempt: number | null;
  readonly phase: Phase;
  /** Why it is not done, for people. */
  readonly why: string | null;
}

/** An attempt that slices may work on. */
export interface JoinedAttempt {
  readonly state: MigrationState;
  readonly plan: PlanDocument;
  readonly control: RunControl;
}

export type Join = { readonly kind: 'joined'; readonly attempt: JoinedAttempt } | SliceEndOf<'idle' | 'stopped'>;
type SliceEndOf<O extends SliceOutcome> = { readonly kind: 'ended'; readonly end: SliceEnd & { readonly outcome: O } };

/**
 * Joins the attempt of a migration if it is in one of `phases` and functions are to work on it.
 * @throws {KeyferryError} `plan.mismatch` with other stores or rules; `slices.not-fit`
 */
export async function joinAttempt(engine: Engine, spec: MigrationSpec, phases: readonly Phase[]): Promise<Join> {
  const { migration } = spec;
  assertFit(engine, migration);
  const state = (await readMigration(engine, migration))?.item ?? null;
  const about = {
    migration,
    plan: state?.plan ?? null,
    attempt: state?.attempt ?? null,
    phase: state?.phase ?? 'new',
  } as const;
  const idle = (why: string): Join => ({ kind: 'ended', end: { ...about, outcome: 'idle', why } });
  if (state === null) return idle('no plan was applied yet');
  if (state.runner !== 'functions') return idle('its plan was not submitted to functions');
  if (!phases.includes(state.phase)) return idle(`it is ${state.phase}`);
  const control = await readControl(engine, migration, state);
  const standing = standingOf(control);
  if (standing !== 'going') {
    const why = `${standing} by ${(control.cancelled ?? control.paused)?.by ?? 'somebody'}`;
    return { kind: 'ended', end: { ...about, outcome: 'stopped', why } };
  }
  const plan = await readItem(engine, 'plan', migration, state.plan);
  if (plan === null) throw new KeyferryError('state.conflict', { what: `plan ${state.plan}` });
  await assertPlanFits(engine, plan.item, spec, { resuming: true });
  return { kind: 'joined', attempt: { state, plan: plan.item, control } };
}

/**
 * Without the lock, fences in the target are all that keeps a function that was frozen from writing late.
 * @throws {KeyferryError} `slices.not-fit`
 */
export function assertFit({ target }: Engine, migration: MigrationId): void {
  if (!target.capabilities.fencing) {
    const why = 'its target compares no fences, so that a function which wakes up late could still write';
    throw new KeyferryError('slices.not-fit', { migration, why });
  }
  if (target.publication !== null) {
    const why = 'its target is written whole or not at all, by one machine';
    throw new KeyferryError('slices.not-fit', { migration, why });
  }
}

export function endOf({ state, plan }: JoinedAttempt, outcome: SliceOutcome, why: string | null = null): SliceEnd {
  const { migration, attempt, phase } = state;
  return { outcome, migration, plan: plan.plan, attempt, phase, why };
}
