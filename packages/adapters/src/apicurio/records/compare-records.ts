/**
 * Holds two sets of records against each other in one pass over both, and names what is different, field by field.
 *
 *     expected ──┐
 *                ├── by key ──► missing (expected alone), extra (found alone), changed (a field that differs)
 *     found    ──┘
 */
import type { RegistryDifference } from '@keyferry/core';
import type { RecordSet, SetEntry } from './record-set.ts';
import { nameOf, type Json, type RecordBody, type RegistryRecord } from './records.ts';

export type RecordDifference =
  | { readonly kind: 'missing'; readonly expected: SetEntry }
  | { readonly kind: 'extra'; readonly found: RegistryRecord }
  | {
      readonly kind: 'changed';
      readonly expected: RegistryRecord;
      readonly found: RegistryRecord;
      /** Names of the fields that differ; of two that only one side has, that side's absence is null. */
      readonly fields: readonly string[];
    }
  /** Of several that exclude each other, not exactly one is there. */
  | { readonly kind: 'rivals'; readonly entry: SetEntry; readonly there: number };

/** Fields that only one side has are compared too. Both sets are sealed. */
export async function* compareRecords(
  expected: RecordSet,
  found: RecordSet,
): AsyncGenerator<RecordDifference, void, undefined> {
  const rivals = new Map<string, { readonly entry: SetEntry; there: number }>();
  for await (const [want, is] of joined(expected, found)) {
    if (want === null) {
      if (is !== null) yield { kind: 'extra', found: asRecord(is) };
      continue;
    }
    if (want.oneOf !== undefined && want.oneOf !== '') {
      const rival = rivals.get(want.oneOf) ?? { entry: want, there: 0 };
      rivals.set(want.oneOf, rival);
      if (is !== null) rival.there += 1;
    }
    if (is === null) {
      if (want.oneOf === undefined) yield { kind: 'missing', expected: want };
      continue;
    }
    if (want.body === null || is.body === null) continue;
    const fields = differingFields(want.body, is.body);
    if (fields.length > 0) yield { kind: 'changed', expected: asRecord(want), found: asRecord(is), fields };
  }
  for (const { entry, there } of rivals.values()) if (there !== 1) yield { kind: 'rivals', entry, there };
}

/** In words, without the content of any schema. */
export function describeDifference(difference: RecordDifference): readonly RegistryDifference[] {
  switch (difference.kind) {
    case 'missing':
      return [{ ...head(difference.expected), what: 'is missing' }];
    case 'extra':
      return [{ ...head(difference.found), what: 'is there and was not expected' }];
    case 'rivals':
      return [{ ...head(difference.entry), what: `and what excludes it: ${difference.there} are there, expected 1` }];
    case 'changed': {
      const { expected, found, fields } = difference;
      return fields.map((field) => ({
        ...head(expected),
        what: `has ${field} ${shown(found.body[field])}, expected ${shown(expected.body[field])}`,
      }));
    }
  }
}

function head({ kind, parts }: Pick<RegistryRecord, 'kind' | 'parts'>): Pick<RegistryDifference, 'kind' | 'name'> {
  return { kind, name: nameOf({ kind, parts }) };
}

const shownMax = 120;

function shown(value: Json | undefined): string {
  const text = JSON.stringify(value ?? null);
  return text.length > shownMax ? `${text.slice(0, shownMax)}…` : text;
}

function differingFields(a: RecordBody, b: RecordBody): readonly string[] {
  const names = new Set([...Object.keys(a), ...Object.keys(b)]);
  return [...names].filter((name) => JSON.stringify(a[name] ?? null) !== JSON.stringify(b[name] ?? null));
}

function asRecord({ kind, parts, body }: SetEntry): RegistryRecord {
  return { kind, parts, body: body ?? {} };
}

type Joined = readonly [expected: SetEntry | null, found: SetEntry | null];

async function* joined(expected: RecordSet, found: RecordSet): AsyncGenerator<Joined, void, undefined> {
  const [left, right] = [expected.entries(), found.entries()];
  try {
    let [a, b] = [await left.next(), await right.next()];
    while (a.done !== true || b.done !== true) {
      const [want, is] = [a.done === true ? null : a.value, b.done === true ? null : b.value];
      if (want !== null && (is === null || want.key < is.key)) {
        yield [want, null];
        a = await left.next();
      } else if (is !== null && (want === null || is.key < want.key)) {
        yield [null, is];
        b = await right.next();
      } else {
        yield [want, is];
        [a, b] = [await left.next(), await right.next()];
      }
    }
  } finally {
    await Promise.all([left.return(), right.return()]);
  }
}
