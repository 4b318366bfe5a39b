/**
 * Both sides of single records: what stands in the target, and what should, as the source has it now.
 *
 * Which side is primary does not matter: a record is the same in both if the target holds what the rules make of the
 * source's. Ends are no part of it (permanent-source.ts). Read at or after the call, with the strongest consistency: in a
 * view, or key by key where a view of the source shows no one state and would read all of it (SPEC R114).
 */
import {
  imageRule,
  keyAfter,
  recordsEqual,
  toSourceKey,
  type Key,
  type MigrationSpec,
  type StopSignal,
  type StoredRecord,
  type TargetStore,
} from '@keyferry/core';
import { imageOf } from '../image-records.ts';
import { spansOf } from '../image.ts';
import type { Engine } from '../migration.ts';
import { scanPages } from '../pages.ts';
import { withRetry } from '../retry.ts';
import { portsOf } from './direction.ts';
import { permanentRecord } from './permanent-source.ts';

export interface BothSides {
  readonly targetKey: Key;
  /** The source's own record; null: it has none. */
  readonly source: StoredRecord | null;
  /** What is to be in the target, without an end; null: nothing. */
  readonly wanted: StoredRecord | null;
  readonly target: StoredRecord | null;
  readonly isEqual: boolean;
}

/** One for each key, in ascending order of the keys. */
export async function readBothSides(
  engine: Engine,
  spec: MigrationSpec,
  targetKeys: Iterable<Key>,
  signal?: StopSignal,
): Promise<readonly BothSides[]> {
  const keys = [...targetKeys].toSorted();
  if (keys.length === 0) return [];
  const sources = await readSource(engine, spec, keys, signal);
  const targets = await lookUpAll(engine, engine.target, keys, signal);
  return keys.map((targetKey, i) => {
    const source = sources.get(targetKey) ?? null;
    const target = targets[i] ?? null;
    const wanted = source === null ? null : wantedOf(source, spec);
    const isEqual =
      wanted === null || target === null ? wanted === target : recordsEqual(wanted, permanentRecord(target));
    return { targetKey, source, wanted, target, isEqual };
  });
}

/** What is to be in the target for a record of the source, without an end; null where the rules leave it out. */
export function wantedOf(source: StoredRecord, spec: MigrationSpec): StoredRecord | null {
  const image = imageOf(permanentRecord(source), spec);
  return image.kind === 'kept' ? image.record : null;
}

async function readSource(
  engine: Engine,
  spec: MigrationSpec,
  keys: readonly Key[],
  signal?: StopSignal,
): Promise<ReadonlyMap<Key, StoredRecord>> {
  const { rule } = imageRule(spec);
  const found = new Map<Key, StoredRecord>();
  if (!engine.source.capabilities.pinnedView) {
    const ours = keys.filter((key) => key.startsWith(rule.targetPrefix));
    const sourceKeys = ours.map((key) => toSourceKey(rule, key));
    const records = await lookUpAll(engine, portsOf(engine).back, sourceKeys, signal);
    for (const [i, record] of records.entries()) if (record !== null) found.set(ours[i] as Key, record);
    return found;
  }
  const view = await withRetry(engine, 'open source', () => engine.source.openView(spansOf(spec).source), signal);
  try {
    for (const targetKey of keys) {
      if (!targetKey.startsWith(rule.targetPrefix)) continue;
      const start = toSourceKey(rule, targetKey);
      for await (const { records } of scanPages(engine, view, { start, end: keyAfter(start) }, signal)) {
        for (const record of records) found.set(targetKey, record);
      }
    }
  } finally {
    await view.close();
  }
  return found;
}

async function lookUpAll(
  engine: Engine,
  store: TargetStore,
  keys: readonly Key[],
  signal?: StopSignal,
): Promise<readonly (StoredRecord | null)[]> {
  const { batchKeysMax } = store.capabilities;
  const found: (StoredRecord | null)[] = [];
  for (let at = 0; at < keys.length; at += batchKeysMax) {
    const part = keys.slice(at, at + batchKeysMax);
    found.push(...(await withRetry(engine, 'look up', () => store.lookUp(part), signal)));
  }
  return found;
}
