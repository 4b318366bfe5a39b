/** What `apply MIGRATION` remembers of a plan that was refused, and whether it would be refused again (core's refusal.ts). */
import {
  blockReasonOf,
  instantMs,
  KeyferryError,
  keyFromJson,
  recordsEqual,
  refusalOf,
  type BlockReason,
  type Key,
  type MigrationSpec,
  type PlanDocument,
  type RefusalCase,
  type StoredRecord,
  type UnplacedReason,
} from '@keyferry/core';
import { imageOf } from './image-records.ts';
import type { Engine } from './migration.ts';
import { readKey, readRecord } from './one-key.ts';
import { withRetry } from './retry.ts';
import { currentId, readItem, writeItem } from './state-items.ts';

/** After a plan that was refused. One that another process remembers at the same moment is as good. */
export async function rememberRefusal(engine: Engine, spec: MigrationSpec, plan: PlanDocument): Promise<void> {
  // What a program makes of one record alone need not be what it makes of all; a part of a migration is not the next command's.
  if (spec.program !== null || spec.selection !== null) return;
  const refusal = refusalOf(plan);
  if (refusal === null) return;
  const before = await readItem(engine, 'refusal', spec.migration, currentId);
  await writeItem(engine, 'refusal', spec.migration, currentId, refusal, before?.version ?? 'absent');
}

/** @throws {KeyferryError} `plan.refused-before`: something that blocked the last plan is seen to block any other one now. */
export async function assertNotRefused(engine: Engine, spec: MigrationSpec): Promise<void> {
  const { migration, sourceStore, selection, configDigest, rulesDigest, keyferryVersion } = spec;
  const refusal = (await readItem(engine, 'refusal', migration, currentId))?.item ?? null;
  if (refusal === null || selection !== null || instantMs(refusal.expiresAt) <= engine.clock.nowMs()) return;
  const sameSettings =
    refusal.configDigest === configDigest &&
    refusal.rulesDigest === rulesDigest &&
    refusal.keyferryVersion === keyferryVersion;
  if (!sameSettings) return;
  for (const each of refusal.cases) {
    if (!(await isStillSo(engine, spec, each))) continue;
    const { plan, createdAt: at, findings } = refusal;
    const [key = null] = each.sourceKeys;
    const still = { code: each.code, key };
    throw new KeyferryError('plan.refused-before', { plan, migration, source: sourceStore, at, findings, still });
  }
}

/** As a plan made now would find it. Null of what cannot be seen: then a plan tells. */
async function isStillSo(engine: Engine, spec: MigrationSpec, { code, sourceKeys }: RefusalCase): Promise<boolean> {
  const keys = sourceKeys.map(keyFromJson);
  switch (code) {
    case 'source.never-used': {
      const { neverUsed } = await withRetry(engine, 'describe source', () => engine.source.describe());
      return neverUsed !== undefined;
    }
    case 'rule.failed':
    case 'key.outside-prefix':
    case 'key.collision':
      return await areUnplaced(engine, spec, keys, code);
    case 'key.empty':
    case 'key.reserved':
    case 'value.too-large':
    case 'record.unfit':
      return await isBlocked(engine, spec, keys, code);
  }
}

async function areUnplaced(
  engine: Engine,
  spec: MigrationSpec,
  keys: readonly Key[],
  reason: UnplacedReason,
): Promise<boolean> {
  const become: Key[] = [];
  for (const key of keys) {
    for (const { records, unplaced = [] } of await readKey(engine, engine.source, key)) {
      if (unplaced.some((entry) => entry.reason === reason)) return true; // the source itself says so
      for (const image of records.map((record) => imageOf(record, spec))) {
        if (image.kind === 'unplaced' && image.unplaced.reason === reason) return true;
        if (image.kind === 'kept') become.push(image.record.key);
      }
    }
  }
  return reason === 'key.collision' && new Set(become).size < become.length;
}

async function isBlocked(
  engine: Engine,
  spec: MigrationSpec,
  [key]: readonly Key[],
  reason: BlockReason,
): Promise<boolean> {
  if (key === undefined) return false;
  const record = await readRecord(engine, engine.source, key);
  if (record === null || isOver(record, engine.clock.nowMs())) return false;
  const image = imageOf(record, spec);
  if (image.kind !== 'kept') return false;
  const made = image.record;
  // Somebody may have put it there by another way: what is equal is not written, and blocks nothing.
  const inTarget = await readRecord(engine, engine.target, made.key);
  if (inTarget !== null && recordsEqual(made, inTarget)) return false;
  // Behind the reading: what a target can hold may be known only from its tables.
  return blockReasonOf(engine.target.capabilities, made.key, made, false) === reason;
}

const isOver = ({ expiresAtMs }: StoredRecord, nowMs: number): boolean => expiresAtMs !== null && expiresAtMs <= nowMs;
