/**
 * Whether `apply MIGRATION` would end as the apply before it did: with records that the target refuses for good. Then it is
 * answered at once, by the dead letters that are in the state.
 *
 *     configuration, rules, keyferry   as they were
 *     source                           has not moved at all, or each of the letters' records is what it was
 *     target                           holds at each of their keys what it held when it refused them
 *
 * Of more letters than a person mends one by one the first are looked at so; for the others it takes a source that has not moved.
 *
 * So what others write to the source beside them changes nothing: as long as these cannot be written, the migration does not
 * come to its end. The look at single records also serves sources that do not say who they are, as another store with the
 * very same records would be refused them too.
 *
 * Only where those records are all that was missing: what else differed, another apply puts right. The way on is
 * `runs retry`, after which the next apply plans anew. What differs by now besides them is `reconcile`'s, unless the
 * target does not know of the attempt any more.
 */
import {
  instantText,
  isKeyferryError,
  KeyferryError,
  keyFromJson,
  RecordHasher,
  type DeadLetter,
  type KeyJson,
  type MigrationSpec,
  type MigrationState,
  type PlanDocument,
} from '@keyferry/core';
import { summarizeChunks } from './backfill-summary.ts';
import { openLetters } from './dead-letters.ts';
import { imageOf } from './image-records.ts';
import type { Engine } from './migration.ts';
import { readRecord } from './one-key.ts';
import { assertPlanFits } from './plan-fits.ts';
import { withRetry } from './retry.ts';
import { isWhereItWas } from './staleness.ts';
import { attemptScope, readItem, readMigration } from './state-items.ts';

/** Records that are named; all of them are counted. */
const namedMax = 20;
/** Each is a read of the target, and of a source that moved: an answer is to come at once. */
const looksMax = 200;

/** @throws {KeyferryError} `apply.failed-before`: nothing was read whole, and nothing written */
export async function assertNotFailedBefore(engine: Engine, spec: MigrationSpec): Promise<void> {
  const { migration, strategy } = spec;
  // Online, apply is a walk that looks at more than records; and what programs make may be something else each time.
  if (strategy !== 'offline' || spec.program !== null || spec.selection !== null) return;
  const state = (await readMigration(engine, migration))?.item ?? null;
  if (state?.phase !== 'applied') return;
  const plan = (await readItem(engine, 'plan', migration, state.plan))?.item ?? null;
  if (plan === null || !(await lacksLettersAlone(engine, state))) return;
  if (!(await fits(engine, spec, plan))) return;
  const epoch = await withRetry(engine, 'epoch', () => engine.target.control(migration).readEpoch());
  if (epoch?.attempt !== state.attempt) return; // emptied, or another one's
  const sourceStands = await isWhereItWas(engine, engine.source, plan.source);
  const { records, total, asTheyWere } = await lettersOf(engine, spec, state, (letter, nth) =>
    nth > looksMax ? sourceStands : isAsItWas(engine, spec, plan, letter, sourceStands),
  );
  if (total === 0 || !asTheyWere) return;
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

async function lettersOf(
  engine: Engine,
  spec: MigrationSpec,
  { migration, attempt }: MigrationState,
  isStill: (letter: DeadLetter, nth: number) => Promise<boolean> | boolean,
) {
  const records: FailedRecord[] = [];
  let total = 0;
  for await (const letters of openLetters(engine, attemptScope(migration, attempt))) {
    for (const { item } of letters) {
      total += 1;
      if (!(await isStill(item, total))) return { records, total, asTheyWere: false };
      if (records.length === namedMax) continue;
      const { targetKey: key, sensitive = false, reason } = item;
      records.push({ key, reason: sensitive || spec.isSensitive(keyFromJson(key)) ? null : reason });
    }
  }
  return { records, total, asTheyWere: true };
}

/** @param sourceStands whether nothing in the source moved at all */
async function isAsItWas(
  engine: Engine,
  spec: MigrationSpec,
  { salt }: PlanDocument,
  { sourceKey, targetKey, tried }: DeadLetter,
  sourceStands: boolean,
): Promise<boolean> {
  if (tried === undefined) return sourceStands;
  const key = keyFromJson(targetKey);
  const there = await readRecord(engine, engine.target, key);
  if ((there?.version ?? null) !== tried.targetVersion) return false;
  if (sourceStands) return true;
  const record = await readRecord(engine, engine.source, keyFromJson(sourceKey));
  const image = record === null ? null : imageOf(record, spec);
  return (
    image?.kind === 'kept' && image.record.key === key && new RecordHasher(salt).short(image.record) === tried.record
  );
}
