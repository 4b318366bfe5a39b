/**
 * Forget: removes what the state holds of a migration. Nothing in the target changes: its epoch stays, so a later start
 * takes a higher attempt number, and so do fences, marks and a done marker, from which `adopt` can build a state anew.
 *
 * Where that loses more than history, it has to be accepted by name. The migration's own item goes last: a run that
 * was killed half-way is run again and goes on.
 */
import { KeyferryError, type FindingCode, type MigrationId, type Phase } from '@keyferry/core';
import type { Environment } from './migration.ts';
import { withRetry } from './retry.ts';
import { withSession, type RunOptions } from './session.ts';
import { itemsOf, partsOf } from './state-contents.ts';
import { migrationsScope } from './state-items.ts';

export interface ForgetOptions extends RunOptions {
  readonly accept: readonly string[];
}

export interface ForgetResult {
  readonly phase: Phase;
  readonly items: number;
  /** What was accepted to be lost. */
  readonly lost: readonly Loss[];
}

export interface Loss {
  readonly code: FindingCode;
  readonly detail: string;
}

const halfWay = 'records are in the target that no later command of keyferry ends or takes back by itself';
const heldWrites = 'writes of applications may be held, and only keyferry cutover or rollback lets them go on';
const noWayBack = 'rollback knows from the state alone where the migration wrote; keyferry state adopt can rebuild it';
const feedStays =
  'what the source tells changes by stays in it, and a replication slot keeps its log until the disk is full; keyferry rollback takes it away';

/** What forgetting takes away, beside the history. */
export const lossesOf: Readonly<Record<Phase, readonly Loss[]>> = {
  new: [],
  applying: [
    { code: 'forget.strands-data', detail: halfWay },
    { code: 'forget.way-back', detail: noWayBack },
  ],
  applied: [{ code: 'forget.way-back', detail: noWayBack }],
  verified: [{ code: 'forget.way-back', detail: noWayBack }],
  'rolling-back': [{ code: 'forget.strands-data', detail: halfWay }],
  'rolled-back': [],
  finalizing: [
    { code: 'forget.strands-data', detail: 'its control keys stay in the target, perhaps without a marker' },
  ],
  finalized: [],
  reopened: [],
  replicating: [{ code: 'forget.way-back', detail: `${noWayBack}; ${feedStays}` }],
  'cutting-over': [{ code: 'forget.strands-data', detail: heldWrites }],
  'cut-over': [{ code: 'forget.way-back', detail: 'the source takes what applications write in the target no more' }],
  'turning-back': [{ code: 'forget.strands-data', detail: heldWrites }],
};

/** Passes over what is left, in case somebody wrote in between. */
const passesMax = 5;

/**
 * @throws {KeyferryError} `forget.unaccepted`, naming what would be lost; `lease.held` while a run has the lock;
 * `state.unknown-migration` when there is nothing to forget.
 */
export async function forget(env: Environment, migration: MigrationId, options: ForgetOptions): Promise<ForgetResult> {
  return withSession(env, { migration }, options, async ({ state, phase, lock }) => {
    if (state === null) throw new KeyferryError('state.unknown-migration', { migration, known: [] });
    const lost = lossesOf[phase];
    const open = lost.filter(({ code }) => !options.accept.includes(code));
    if (open.length > 0) {
      const findings = open.map(({ code }) => code);
      throw new KeyferryError('forget.unaccepted', { migration, findings, lost: open.map(({ detail }) => detail) });
    }
    const parts = partsOf(migration, state.attempt);
    let items = 0;
    for (let pass = 1; ; pass += 1) {
      let found = 0;
      for await (const { kind, scope, entry } of itemsOf(env, parts)) {
        lock.assertHeld();
        found += 1;
        const removed = await withRetry(env, `forget ${kind}`, () =>
          env.state.remove(kind, scope, entry.id, entry.version),
        );
        if (removed.kind === 'written' || removed.current === null) items += 1;
      }
      if (found === 0) break;
      if (pass === passesMax) throw new KeyferryError('state.conflict', { what: `migration ${migration}` });
    }
    const own = await withRetry(env, 'state', () => env.state.read('migration', migrationsScope, migration));
    if (own !== null) {
      const removed = await withRetry(env, 'forget migration', () =>
        env.state.remove('migration', migrationsScope, migration, own.version),
      );
      if (removed.kind === 'conflict' && removed.current !== null) {
        throw new KeyferryError('state.conflict', { what: `migration ${migration}` });
      }
      items += 1;
    }
    return { phase, items, lost };
  });
}
