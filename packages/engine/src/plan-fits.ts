/**
 * Does a plan fit this configuration and these stores? Asked before anything is read in full.
 *
 * A start asks for the whole configuration that was reviewed. Going on asks only for what decides which records are
 * written and where: a dead member's endpoint or another number of workers must not strand a migration half-way.
 */
import {
  instantMs,
  KeyferryError,
  keyFromJson,
  selectionText,
  type PlanDocument,
  type PlannedSide,
  type MigrationSpec,
} from '@keyferry/core';
import type { Engine } from './migration.ts';
import { withRetry } from './retry.ts';

/** @throws {KeyferryError} `plan.mismatch`, saying what differs; `plan.expired`, unless it is being resumed. */
export async function assertPlanFits(
  engine: Engine,
  plan: PlanDocument,
  spec: MigrationSpec,
  { resuming }: { readonly resuming: boolean },
): Promise<void> {
  const what: string[] = [];
  if (plan.migration !== spec.migration) what.push(`it is for ${plan.migration}`);
  const partial = selectionText(plan.selection) !== selectionText(spec.selection);
  if (partial)
    what.push(`it carries ${selectionText(plan.selection)}, and this is about ${selectionText(spec.selection)}`);
  else if (plan.rulesDigest !== spec.rulesDigest) what.push('the prefixes or rules of the migration');
  if (plan.onConflict !== spec.onConflict) what.push(`onConflict was ${plan.onConflict}, is ${spec.onConflict}`);
  if (plan.source.store !== spec.sourceStore) what.push(`the source was store ${plan.source.store}`);
  if (plan.target.store !== spec.targetStore) what.push(`the target was store ${plan.target.store}`);
  if (keyFromJson(plan.source.prefix) !== spec.rule.sourcePrefix) what.push('the prefix of the source');
  if (keyFromJson(plan.target.prefix) !== spec.rule.targetPrefix) what.push('the prefix of the target');
  if (!resuming && what.length === 0 && plan.configDigest !== spec.configDigest) {
    what.push('the configuration of the migration or of its stores');
  }
  const [major] = spec.keyferryVersion.split('.');
  if (plan.keyferryVersion.split('.')[0] !== major) {
    what.push(`it was made by keyferry ${plan.keyferryVersion}, this is ${spec.keyferryVersion}`);
  }
  if (what.length === 0) what.push(...(await otherStores(engine, plan)));
  const { plan: id, migration } = plan;
  if (what.length > 0) throw new KeyferryError('plan.mismatch', { plan: id, migration, what });
  if (!resuming && instantMs(plan.expiresAt) <= engine.clock.nowMs()) {
    throw new KeyferryError('plan.expired', { plan: id, migration, expiredAt: plan.expiresAt });
  }
}

/** A store that says who it is must be the one that the plan saw: an endpoint can lead elsewhere. */
async function otherStores(engine: Engine, plan: PlanDocument): Promise<readonly string[]> {
  const [source, target] = await Promise.all([
    withRetry(engine, 'describe source', () => engine.source.describe()),
    withRetry(engine, 'describe target', () => engine.target.describe()),
  ]);
  return [...otherStore('source', plan.source, source.identity), ...otherStore('target', plan.target, target.identity)];
}

function otherStore(side: string, { description }: PlannedSide, identity: string | null): readonly string[] {
  const { identity: planned } = description;
  if (planned === null || identity === null || planned === identity) return [];
  return [`the ${side} is another one: it was ${planned}, it is ${identity}`];
}
