/** What `apply MIGRATION` remembers of a plan that was refused, and whether it would be refused again (core's refusal.ts). */
import {
  canonicalJson,
  instantMs,
  KeyferryError,
  refusalOf,
  whichStore,
  type MigrationSpec,
  type PlanDocument,
  type Refusal,
} from '@keyferry/core';
import type { Engine } from './migration.ts';
import { withRetry } from './retry.ts';
import { currentId, readItem, writeItem } from './state-items.ts';

/** After a plan that was refused. One that another process remembers at the same moment is as good. */
export async function rememberRefusal(engine: Engine, spec: MigrationSpec, plan: PlanDocument): Promise<void> {
  // A program may answer something else each time, and a part of a migration is not the next command's.
  if (spec.program !== null || spec.selection !== null) return;
  // A store that does not say who it is could be another one at the same position.
  if (plan.source.description.identity === null && !engine.source.capabilities.positionIsContent) return;
  const refusal = refusalOf(plan);
  if (refusal === null) return;
  const before = await readItem(engine, 'refusal', spec.migration, currentId);
  await writeItem(engine, 'refusal', spec.migration, currentId, refusal, before?.version ?? 'absent');
}

/** @throws {KeyferryError} `plan.refused-before`: a plan made now would be refused as the last one was. */
export async function assertNotRefused(engine: Engine, spec: MigrationSpec): Promise<void> {
  const { migration, sourceStore, selection, configDigest, rulesDigest, keyferryVersion } = spec;
  const refusal = (await readItem(engine, 'refusal', migration, currentId))?.item ?? null;
  if (refusal === null || selection !== null || instantMs(refusal.expiresAt) <= engine.clock.nowMs()) return;
  const sameSettings =
    refusal.configDigest === configDigest &&
    refusal.rulesDigest === rulesDigest &&
    refusal.keyferryVersion === keyferryVersion;
  if (!sameSettings || !(await sameStores(engine, refusal))) return;
  const { plan, createdAt: at, findings } = refusal;
  throw new KeyferryError('plan.refused-before', { plan, migration, source: sourceStore, at, findings });
}

async function sameStores(engine: Engine, refusal: Refusal): Promise<boolean> {
  const [position, source, target] = await Promise.all([
    withRetry(engine, 'head of source', () => engine.source.head()),
    withRetry(engine, 'describe source', () => engine.source.describe()),
    withRetry(engine, 'describe target', () => engine.target.describe()),
  ]);
  return (
    position === refusal.position &&
    canonicalJson(whichStore(source)) === canonicalJson(refusal.source) &&
    canonicalJson(whichStore(target)) === canonicalJson(refusal.target)
  );
}
