/**
 * Reconcile is plan, approve, apply and verify of what differs now: the same plan and the same apply as ever, of which
 * only what differs is left to do. Missing records are created under the guard; other values are the conflict policy's.
 * Here is only where it makes sense: after an apply, and not before the first or behind the point of no return.
 */
import { KeyferryError, nextStep, type MigrationSpec, type Phase } from '@keyferry/core';
import type { Environment } from './migration.ts';
import { readMigration } from './state-items.ts';

const phases: readonly Phase[] = ['applying', 'applied', 'verified'];

/** @throws {KeyferryError} `phase.not-allowed`, `migration.finalized` */
export async function assertReconcilable(env: Environment, { migration, strategy }: MigrationSpec): Promise<void> {
  if (strategy !== 'offline') {
    // What differs there, an application has done; a second plan would undo it.
    const next = `keyferry status ${migration}`;
    throw new KeyferryError('phase.not-allowed', { migration, phase: strategy, command: 'reconcile', next });
  }
  const state = (await readMigration(env, migration))?.item ?? null;
  const phase = state?.phase ?? 'new';
  if (phases.includes(phase)) return;
  if (phase === 'finalized' && state !== null && state.done !== null) {
    const { by, finalizedAt: at } = state.done;
    throw new KeyferryError('migration.finalized', { migration, command: 'reconcile', by, at });
  }
  const { next } = nextStep(migration, phase, state?.appliedAs ?? `${migration}.kfplan`);
  throw new KeyferryError('phase.not-allowed', { migration, phase, command: 'reconcile', next });
}
