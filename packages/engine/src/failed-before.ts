/**
 * Whether `apply MIGRATION` would do over again what the apply before it did: with the source, the configuration and keyferry
 * as they were, a plan made now has the very records left to write that the target refused for good, and ends as that
 * one did. Then it is answered at once, by the dead letters that are in the state.
 *
 * Only where those records are all that was missing: what else differed, another apply puts right. The way on is
 * `runs retry`, after which the next apply plans anew, as it does after any write to the source. What somebody
 * changed in the target since is `reconcile`'s, unless the target does not know of the attempt any more.
 */
import {
  instantText,
  isKeyferryError,
  KeyferryError,
  keyFromJson,
  type KeyJson,
  type MigrationSpec,
  type MigrationState,
  type PlanDocument,
} from '@keyferry/core';
import { summarizeChunks } from './backfill-summary.ts';
import { openLetters } from './dead-letters.ts';
import type { Engine } from './migration.ts';
import { assertPlanFits } from './plan-fits.ts';
import { withRetry } from './retry.ts';
import { isWhereItWas } from './staleness.ts';
import { attemptScope, readItem, readMigration } from './state-items.ts';

/** Records that are named; all of them are counted. */
const namedMax = 20;

/** @throws {KeyferryError} `apply.failed-before`: nothing was read whole, and nothing written */
export async function assertNotFailedBefore(engine: Engine, spec: MigrationSpec): Promise<void> {
  const { migration, strategy } = spec;
  // Online, apply is a walk that looks at more than records; and what programs make may be something else each time.
  if (strategy !== 'offline' || spec.program !== null || spec.selection !== null) return;
  const state = (await readMigration(engine, migration))?.item ?? null;
  if (state?.phase !== 'applied') return;
  const plan = (await readItem(engine, 'plan', migration, state.plan))?.item ?? null;
  if (plan === null || !(await lacksLettersAlone(engine, state))) return;
  if (!(await fits(engine, spec, plan)) || !(await isWhereItWas(engine, engine.source, plan.source))) return;
  const epoch = await withRetry(engine, 'epoch', () => engine.target.control(migration).readEpoch());
  if (epoch?.attempt !== state.attempt) return; // emptied, or another one's
  const { records, total } = await lettersOf(engine, spec, state);
  if (total === 0) return;
  throw new KeyferryError('apply.failed-before', {
    migration,
    plan: plan.plan,
    source: spec.sourceStore,
    at: instantText(state.changedAtMs),
    records,
    recordsTotal: total,
  });
}

/** Of what the last run of the attempt found to be missing; false where nobody can tell. */
async function lacksLettersAlone(engine: Engine, { migration, run, attempt }: MigrationState): Promise<boolean> {
  const record = (await readItem(engine, 'run-record', migration, run))?.item ?? null;
  if (record?.command !== 'apply' || record.verify === null) return false;
  const { counts, moved } = await summarizeChunks(engine, attemptScope(migration, attempt));
  const { deadLetters, tombstoned, changed, deletesChanged } = counts;
  const met = tombstoned + changed + deletesChanged;
  return deadLetters > 0 && met === 0 && moved.length === 0 && record.verify.differencesTotal <= deadLetters;
}

async function fits(engine: Engine, spec: MigrationSpec, plan: PlanDocument): Promise<boolean> {
  if (plan.keyferryVersion !== spec.keyferryVersion) return false;
  try {
    await assertPlanFits(engine, plan, spec, { resuming: false });
    return true;
  } catch (error) {
    if (isKeyferryError(error, 'plan.mismatch') || isKeyferryError(error, 'plan.expired')) return false;
    throw error;
  }
}

export interface FailedRecord {
  readonly key: KeyJson;
  /** In the store's own words; null: the key is sensitive, and they may quote it. */
  readonly reason: string | null;
}

async function lettersOf(engine: Engine, spec: MigrationSpec, { migration, attempt }: MigrationState) {
  const records: FailedRecord[] = [];
  let total = 0;
  for await (const letters of openLetters(engine, attemptScope(migration, attempt))) {
    total += letters.length;
    for (const { item } of letters.slice(0, namedMax - records.length)) {
      const { targetKey: key, sensitive = false, reason } = item;
      records.push({ key, reason: sensitive || spec.isSensitive(keyFromJson(key)) ? null : reason });
    }
  }
  return { records, total };
}
