/**
 * Submitting: a reviewed plan goes into the state, where functions take it up. So whoever submits needs the state and no
 * way to the stores, and functions need no file.
 *
 *     plan ──submitPlan──► document, rows in pages, then the submission ──dispatch──► taken | refused, with the reason
 */
import {
  canonicalJson,
  KeyferryError,
  shellWord,
  type MigrationId,
  type MigrationState,
  type PlanDocument,
  type PlannedChange,
  type PlannedChunk,
  type PlanReader,
  type PlanRows,
  type StateEntry,
  type Submission,
} from '@keyferry/core';
import { assertApplyable } from '../attempt.ts';
import { recordHistory } from '../events.ts';
import type { Environment } from '../migration.ts';
import { withRetry } from '../retry.ts';
import { currentId, listItems, readItem, readMigration, writeItem, writeItemOrFail } from '../state-items.ts';

export interface SubmitOptions {
  /** `user@host, pid N`. */
  readonly by: string;
  readonly accept: readonly string[];
  readonly appliedAs: string;
}

/** Rows of one state item, and characters of them, so that a backend's limit of an item is kept. */
const pageRowsMax = 500;
const pageCharactersMax = 200_000;

/**
 * Harmless to repeat: a plan that waits, or whose attempt functions work on, stays as it is.
 * @throws {KeyferryError} `plan.not-applyable`; `plan.other-in-progress` when another plan waits to be taken up
 */
export async function submitPlan(
  env: Environment,
  reader: PlanReader,
  { by, accept, appliedAs }: SubmitOptions,
): Promise<Submission> {
  const { plan } = reader;
  assertApplyable(plan);
  if (plan.strategy === 'replicate') {
    // What follows the source goes on for as long as it is not told to stop.
    const next = `keyferry apply ${shellWord(appliedAs)}`;
    const command = 'apply --runner lambda';
    throw new KeyferryError('phase.not-allowed', { migration: plan.migration, phase: plan.strategy, command, next });
  }
  const { migration } = plan;
  const state = (await readMigration(env, migration))?.item ?? null;
  const before = await readItem(env, 'submission', migration, currentId);
  if (before?.item.answer === null) {
    if (before.item.plan === plan.plan) return before.item;
    throw new KeyferryError('plan.other-in-progress', {
      plan: plan.plan,
      migration,
      running: before.item.plan,
      appliedAs: before.item.appliedAs,
    });
  }
  if (before !== null && isTaken(before.item, plan, state)) return before.item;
  await dropPlanRows(env, migration); // of one that was refused, or of a submission that died
  await writeItem(env, 'plan', migration, plan.plan, plan, 'absent');
  const chunkPages = await writeRows(env, plan, 'chunks', reader.readChunks());
  const changePages = await writeRows(env, plan, 'changes', reader.readChanges());
  const atMs = env.clock.nowMs();
  const submission = { plan: plan.plan, chunkPages, changePages, by, atMs, accept, appliedAs, answer: null };
  await writeItemOrFail(env, 'submission', migration, currentId, submission, before?.version ?? 'absent');
  const message = `${by} submitted plan ${plan.plan} to functions`;
  await recordHistory(env, migration, { type: 'plan.submitted', message, run: '', by });
  return submission;
}

function isTaken(
  { answer, plan: submitted }: Submission,
  { plan }: PlanDocument,
  state: MigrationState | null,
): boolean {
  if (answer?.kind !== 'taken' || submitted !== plan || state === null) return false;
  const isOn = state.runner === 'functions' && ['applying', 'applied', 'verified'].includes(state.phase);
  return isOn && state.plan === plan && state.attempt === answer.attempt;
}

type Section = 'chunks' | 'changes';

const pageId = (plan: string, section: Section, page: number): string =>
  `${plan}/${section}/${String(page).padStart(6, '0')}`;

/** @returns how many pages there are */
async function writeRows(
  env: Environment,
  { plan, migration }: PlanDocument,
  section: Section,
  rows: AsyncIterable<readonly (PlannedChunk | PlannedChange)[]>,
): Promise<number> {
  let pages = 0;
  let gathered: (PlannedChunk | PlannedChange)[] = [];
  let characters = 0;
  const flush = async (): Promise<void> => {
    const item = { plan, chunks: [], changes: [], [section]: gathered } as PlanRows;
    await writeItemOrFail(env, 'plan-rows', migration, pageId(plan, section, pages), item, 'absent');
    pages += 1;
    [gathered, characters] = [[], 0];
  };
  for await (const some of rows) {
    for (const row of some) {
      const size = canonicalJson(row).length;
      const isFull = gathered.length === pageRowsMax || characters + size > pageCharactersMax;
      if (gathered.length > 0 && isFull) await flush();
      gathered.push(row);
      characters += size;
    }
  }
  if (gathered.length > 0) await flush();
  return pages;
}

/** The plan behind a submission. @throws {KeyferryError} `state.conflict` when somebody submits another one just now. */
export async function openSubmitted(
  env: Environment,
  migration: MigrationId,
  submission: Submission,
): Promise<PlanReader> {
  const plan = await readItem(env, 'plan', migration, submission.plan);
  if (plan === null) throw new KeyferryError('state.conflict', { what: `plan ${submission.plan}` });
  async function* pages<S extends Section>(section: S, count: number): AsyncGenerator<PlanRows[S]> {
    for (let page = 0; page < count; page += 1) {
      const id = pageId(submission.plan, section, page);
      const entry = await readItem(env, 'plan-rows', migration, id);
      if (entry === null) throw new KeyferryError('state.conflict', { what: `rows ${id}` });
      yield entry.item[section];
    }
  }
  return {
    plan: plan.item,
    readChunks: () => pages('chunks', submission.chunkPages),
    readChanges: () => pages('changes', submission.changePages),
  };
}

/** Once the attempt stands nobody needs the rows any more. */
export async function dropPlanRows(env: Environment, migration: MigrationId): Promise<void> {
  for await (const entries of listItems(env, 'plan-rows', migration, { after: null, itemsMax: 10 })) {
    for (const { id, version } of entries) {
      await withRetry(env, 'drop plan rows', () => env.state.remove('plan-rows', migration, id, version));
    }
  }
}

/** What waits, was taken or refused last; null: nothing was ever submitted. */
export async function readSubmission(env: Environment, migration: MigrationId): Promise<Submission | null> {
  return (await readItem(env, 'submission', migration, currentId))?.item ?? null;
}

/** Somebody else's answer stands. */
export async function answerSubmission(
  env: Environment,
  migration: MigrationId,
  { item, version }: StateEntry<'submission'>,
  answer: NonNullable<Submission['answer']>,
): Promise<void> {
  await writeItem(env, 'submission', migration, currentId, { ...item, answer }, version);
}
