/**
 * What of a plan must still be true before replication begins. The source may have moved: the tail carries it. In the
 * target nothing may have come since: what is there is either kept, at the version that the plan saw, or was equal.
 */
import {
  ExceptionCheck,
  keyToJson,
  KeyferryError,
  RecordHasher,
  type MigrationSpec,
  type PlanReader,
  type StaleKey,
  type StoreView,
} from '@keyferry/core';
import { spansOf } from '../image.ts';
import type { Engine } from '../migration.ts';
import { scanPages } from '../pages.ts';

const namedMax = 20;

/** @throws {KeyferryError} `plan.stale`, naming keys that came to the target since; nothing was written then. */
export async function assertTargetHolds(
  engine: Engine,
  spec: MigrationSpec,
  { plan }: PlanReader,
  target: StoreView,
): Promise<void> {
  if (plan.target.position === target.position && plan.target.description.identity !== null) return;
  const exceptions = new ExceptionCheck(new RecordHasher(plan.salt), plan.exceptions);
  const keys: StaleKey[] = [];
  let others = 0;
  for await (const { records } of scanPages(engine, target, spansOf(spec).target)) {
    for (const record of records) {
      if (!spec.inScope(record.key) || exceptions.judge(record) !== 'other') continue;
      others += 1;
      if (others > plan.totals.actions.equal.keys && keys.length < namedMax) {
        keys.push({ key: keyToJson(record.key), what: 'came to the target, or changed there' });
      }
    }
  }
  const keysTotal = others - plan.totals.actions.equal.keys;
  if (keysTotal <= 0) return;
  throw new KeyferryError('plan.stale', { plan: plan.plan, migration: plan.migration, keys, keysTotal });
}
