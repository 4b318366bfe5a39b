/** What the state holds: which migrations, and of one everything that is known. Reads state only, no store. */
import {
  lockIsHeld,
  type EventItem,
  type MigrationId,
  type MigrationState,
  type RunRecord,
  type DeadLetter,
} from '@keyferry/core';
import { KeyferryError } from '@keyferry/core';
import { readEvents } from './events.ts';
import { listLocks } from './lock.ts';
import type { Environment } from './migration.ts';
import { attemptScope, listItems, migrationsScope } from './state-items.ts';
import { readStatus, type Status } from './status.ts';

export interface ListedMigration {
  readonly state: MigrationState;
  readonly locked: boolean;
}

export async function listMigrations(env: Environment): Promise<readonly ListedMigration[]> {
  const nowMs = env.clock.nowMs();
  const locked = new Set((await listLocks(env)).filter(({ item }) => lockIsHeld(item, nowMs)).map(({ id }) => id));
  const all: ListedMigration[] = [];
  for await (const entries of listItems(env, 'migration', migrationsScope)) {
    all.push(...entries.map(({ id, item }) => ({ state: item, locked: locked.has(id) })));
  }
  return all;
}

export interface Dossier {
  readonly status: Status;
  /** Oldest first. */
  readonly runs: readonly RunRecord[];
  readonly events: readonly EventItem[];
  /** Of the latest attempt, the first ones. */
  readonly deadLetters: readonly DeadLetter[];
  readonly deadLettersTotal: number;
}

export const eventsMax = 1000;
const deadLettersMax = 1000;

/**
 * Everything that the state knows of a migration.
 * @throws {KeyferryError} `state.unknown-migration`
 */
export async function readDossier(env: Environment, migration: MigrationId): Promise<Dossier> {
  const status = await readStatus(env, migration);
  if (status.state === null) {
    const known = (await listMigrations(env)).map(({ state }) => state.migration);
    throw new KeyferryError('state.unknown-migration', { migration, known });
  }
  const runs: RunRecord[] = [];
  for await (const entries of listItems(env, 'run-record', migration)) runs.push(...entries.map(({ item }) => item));
  const deadLetters: DeadLetter[] = [];
  let deadLettersTotal = 0;
  for await (const entries of listItems(env, 'dead-letter', attemptScope(migration, status.state.attempt))) {
    deadLettersTotal += entries.length;
    deadLetters.push(...entries.slice(0, deadLettersMax - deadLetters.length).map(({ item }) => item));
  }
  return {
    status,
    runs: runs.toSorted((a, b) => a.startedAtMs - b.startedAtMs),
    events: await readEvents(env, migration, eventsMax),
    deadLetters,
    deadLettersTotal,
  };
}

export interface ReportData extends Dossier {
  /** The run whose course is drawn: the one that was asked for, or the last that applied. */
  readonly run: RunRecord | null;
  /** The last comparison of both sides, by whichever run; of the asked run, its own. */
  readonly verified: RunRecord | null;
}

/**
 * @param subject a migration, or a run
 * @throws {KeyferryError} `state.unknown-migration`, `run.unknown`
 */
export async function readReport(env: Environment, subject: string): Promise<ReportData> {
  if (!subject.startsWith('run_')) {
    const dossier = await readDossier(env, subject as MigrationId);
    const attempt = dossier.status.state?.attempt;
    const run =
      dossier.runs.findLast(({ command, ...each }) => command === 'apply' && each.attempt === attempt) ?? null;
    const verified = dossier.runs.findLast((each) => each.verify !== null && each.attempt === attempt) ?? null;
    return { ...dossier, run, verified };
  }
  for (const { state } of await listMigrations(env)) {
    const found = await env.state.read('run-record', state.migration, subject);
    if (found === null) continue;
    const run = found.item;
    return { ...(await readDossier(env, state.migration)), run, verified: run.verify === null ? null : run };
  }
  throw new KeyferryError('run.unknown', { run: subject });
}
