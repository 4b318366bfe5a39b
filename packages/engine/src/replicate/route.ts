/**
 * Routes: what a tail makes of one change of the store that it reads, in the store that it writes.
 *
 *     forward    S ──rules──► T             reverse    T ──inverse of the rules──► S
 *
 * Keys that the plan promised to keep, and keys that the rules leave out, are left out both ways, and counted. Rules that
 * move keys in any other way than one prefix for another cannot tell the key of a record that is gone: such a plan is
 * blocked (SPEC R38). Pure, but for the stores that it names.
 */
import {
  imageRule,
  intersectRanges,
  invariant,
  prefixRange,
  toSourceKey,
  toTargetKey,
  toTargetRange,
  type ChangeFeed,
  type Key,
  type KeyRange,
  type MigrationSpec,
  type SourceChange,
  type TailChange,
  type TailControl,
  type TailName,
  type TargetStore,
} from '@keyferry/core';
import { imageOf } from '../image-records.ts';
import { spansOf } from '../image.ts';
import type { Engine } from '../migration.ts';

export type SingleChange = Exclude<SourceChange, { readonly kind: 'delete-range' }>;

export type Carried =
  | { readonly kind: 'change'; readonly change: TailChange }
  | { readonly kind: 'left-out' }
  /** The other store can never take it as it is; whatever is there under `key` stays. */
  | { readonly kind: 'refused'; readonly key: Key; readonly reason: string };

export interface TailRoute {
  readonly tail: TailName;
  readonly feed: ChangeFeed;
  /** In the store that is read. */
  readonly range: KeyRange;
  readonly written: TargetStore;
  readonly into: TailControl;
  readonly carry: (change: SingleChange) => Carried;
  /** The key in the target, by which both sides are compared. */
  readonly targetKeyOf: (writtenKey: Key) => Key;
  /** Where the keys of a range that is read lie in the store that is written; null: nowhere. */
  readonly writtenRange: (range: KeyRange) => KeyRange | null;
}

/** @param kept target keys that the plan promised to keep */
export function forwardRoute(engine: Engine, spec: MigrationSpec, kept: ReadonlySet<Key>): TailRoute {
  const { rule } = imageRule(spec);
  const range = spansOf(spec).source;
  const isOurs = (key: Key): boolean => spec.inScope(key) && !kept.has(key);
  return {
    tail: 'forward',
    ...sides(engine.source.feed, engine.target, spec),
    range,
    targetKeyOf: (key) => key,
    writtenRange: (part) => {
      const within = intersectRanges(range, part);
      return within === null ? null : toTargetRange(rule, within);
    },
    carry: (change) => {
      const key = toTargetKey(rule, change.key);
      if (!isOurs(key)) return { kind: 'left-out' };
      if (change.kind === 'delete') return { kind: 'change', change: { kind: 'delete', key } };
      const image = imageOf({ ...change, expiresAtMs: null }, spec);
      if (image.kind === 'dropped') return { kind: 'change', change: { kind: 'delete', key } };
      if (image.kind === 'unplaced') return { kind: 'refused', key, reason: image.unplaced.detail };
      if (image.record.key !== key)
        return { kind: 'refused', key, reason: 'a rule moved the key, against what it says' };
      return { kind: 'change', change: { kind: 'put', key, value: image.record.value, expiresAtMs: null } };
    },
  };
}

/** @param kept target keys that the plan promised to keep */
export function reverseRoute(engine: Engine, spec: MigrationSpec, kept: ReadonlySet<Key>): TailRoute {
  const { rule } = imageRule(spec);
  const range = prefixRange(rule.targetPrefix);
  const isOurs = (key: Key): boolean => key.startsWith(rule.targetPrefix) && spec.inScope(key) && !kept.has(key);
  return {
    tail: 'reverse',
    ...sides(engine.target.feed, engine.replicate?.back, spec),
    range,
    targetKeyOf: (key) => toTargetKey(rule, key),
    writtenRange: (part) => {
      const within = intersectRanges(range, part);
      if (within === null) return null;
      const { end } = prefixRange(rule.targetPrefix);
      const isToEnd = within.end === null || within.end === end;
      return {
        start: toSourceKey(rule, within.start),
        end: isToEnd ? prefixRange(rule.sourcePrefix).end : toSourceKey(rule, within.end),
      };
    },
    carry: (change) => {
      if (!isOurs(change.key)) return { kind: 'left-out' };
      const key = toSourceKey(rule, change.key);
      if (change.kind === 'delete') return { kind: 'change', change: { kind: 'delete', key } };
      const back = spec.transform?.inverse?.apply({ key: change.key, value: change.value, expiresAtMs: null });
      if (back === undefined) {
        return { kind: 'change', change: { kind: 'put', key, value: change.value, expiresAtMs: null } };
      }
      if (back.kind === 'failed') return { kind: 'refused', key, reason: back.detail };
      if (back.kind === 'dropped') return { kind: 'left-out' };
      return { kind: 'change', change: { kind: 'put', key, value: back.record.value, expiresAtMs: null } };
    },
  };
}

function sides(feed: ChangeFeed | undefined, written: TargetStore | undefined, { migration }: MigrationSpec) {
  const into = written?.tail?.(migration);
  invariant(
    feed !== undefined && written !== undefined && into !== undefined,
    'a plan without feed or tail was applied',
  );
  return { feed, written, into };
}
