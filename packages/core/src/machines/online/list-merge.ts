/**
 * A list while records are in two stores: the target's over the source's, less the tombstones.
 *
 *     target      a       c   d†        (one snapshot, records and tombstones together, read first)
 *     source      a   b       d   e
 *     list        a   b   c       e
 *
 * Key by key it is what a single read of that key would have returned: the target before the source, as in
 * client-operation.ts, and for the same reason (SPEC R33). Both sides ascending by bytes; works page by page, so that
 * neither side needs to be whole in memory.
 */
import { compareKeys, type Key } from '../../model/key.ts';
import { invariant } from '../../errors/invariant.ts';

export interface Listed {
  readonly key: Key;
}

/** A key of the target's snapshot that is there, has a tombstone, or both. */
export interface TargetEntry<R extends Listed> {
  readonly key: Key;
  readonly record: R | null;
}

/**
 * The list of one stretch of keys: all entries of both sides in it.
 * @param target ascending, no key twice; `record: null` is a tombstone under which nothing lies
 * @param source ascending, no key twice
 */
export function mergeList<R extends Listed>(target: readonly TargetEntry<R>[], source: readonly R[]): readonly R[] {
  const merged: R[] = [];
  let at = 0;
  let last: Key | null = null;
  for (const record of source) {
    invariant(last === null || compareKeys(last, record.key) < 0, 'a list of the source is not in order');
    last = record.key;
    for (let entry = target[at]; entry !== undefined && entry.key < record.key; entry = target[at]) {
      if (entry.record !== null) merged.push(entry.record);
      at += 1;
    }
    const same = target[at];
    if (same?.key !== record.key) merged.push(record);
  }
  for (const { record } of target.slice(at)) if (record !== null) merged.push(record);
  return merged;
}

/** Records and tombstones of one snapshot, each ascending, as entries. A record wins over its tombstone. */
export function targetEntries<R extends Listed>(
  records: readonly R[],
  tombstones: readonly Key[],
): readonly TargetEntry<R>[] {
  const entries: TargetEntry<R>[] = [];
  let at = 0;
  for (const record of records) {
    for (let key = tombstones[at]; key !== undefined && key < record.key; key = tombstones[at]) {
      entries.push({ key, record: null });
      at += 1;
    }
    if (tombstones[at] === record.key) at += 1;
    entries.push({ key: record.key, record });
  }
  for (const key of tombstones.slice(at)) entries.push({ key, record: null });
  return entries;
}
