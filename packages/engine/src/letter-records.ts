/**
 * What there is of the records of dead letters now: what `runs retry` tries again, and what there is nothing to do about.
 */
import {
  compareKeys,
  imageRule,
  keyAfter,
  keyForDisplay,
  keyFromJson,
  sourceKeyOf,
  type DeadLetter,
  type Key,
  type MigrationSpec,
  type StateEntry,
  type StoredRecord,
  type Unplaced,
} from '@keyferry/core';
import { unplacedReason } from './change-outcomes.ts';
import { placeOf } from './dead-letters.ts';
import { imagesOf } from './image.ts';
import type { Image } from './image-records.ts';
import { assertNotStopped, type Engine } from './migration.ts';
import { scanPages } from './pages.ts';
import type { SharedView } from './shared-view.ts';

type Letter = StateEntry<'dead-letter'>;

interface Place {
  readonly record: StoredRecord | null;
  readonly unplaced: readonly Unplaced[];
}

/** A letter for which there is nothing to write; it stays dead for a reason, or there is nothing to be carried any more. */
interface LetterWithout {
  readonly letter: Letter;
  readonly reason: string | null;
}

export interface LettersRecords {
  /** To be tried, ascending. */
  readonly records: readonly StoredRecord[];
  /** By the key of its record in the source. */
  readonly letterOf: Map<Key, Letter>;
  readonly without: readonly LetterWithout[];
}

/**
 * What there is of the letters' records now, each looked for where scans meet it. A letter of a sorted image may have
 * left that place since, so the source is asked what becomes of its record.
 */
export async function recordsOfLetters(
  engine: Engine,
  spec: MigrationSpec,
  letters: readonly Letter[],
  shared: SharedView,
  signal: AbortSignal,
): Promise<LettersRecords> {
  const byPlace = Map.groupBy(letters, ({ item }) => placeOf(item, spec));
  const places = await readPlaces(engine, spec, [...byPlace.keys()].toSorted(compareKeys), shared, signal);
  const records: StoredRecord[] = [];
  const letterOf = new Map<Key, Letter>();
  const without: LetterWithout[] = [];
  const gone: Letter[] = [];
  for (const [key, { record, unplaced }] of places) {
    for (const letter of byPlace.get(key) ?? []) {
      const still = unplaced.find((entry) => isSameTrouble(letter.item, entry));
      if (record !== null && mayBecome(letter.item, record) && !letterOf.has(sourceKeyOf(record))) {
        letterOf.set(sourceKeyOf(record), letter);
        records.push(record);
      } else if (still === undefined) gone.push(letter);
      else without.push({ letter, reason: unplacedReason(still) });
    }
  }
  if (imageRule(spec).order === 'merged') {
    return { records, letterOf, without: [...without, ...gone.map((letter) => ({ letter, reason: null }))] };
  }
  const sourceKeys = gone.map(({ item }) => keyFromJson(item.sourceKey));
  const images = await imagesOf(engine, spec, sourceKeys, signal);
  for (const letter of gone) {
    const image = images.get(keyFromJson(letter.item.sourceKey));
    without.push({ letter, reason: image === undefined ? null : whereItWent(image) });
  }
  return { records, letterOf, without };
}

async function readPlaces(
  engine: Engine,
  spec: MigrationSpec,
  keys: readonly Key[],
  shared: SharedView,
  signal: AbortSignal,
): Promise<ReadonlyMap<Key, Place>> {
  for (;;) {
    const view = await shared.view();
    const places = new Map<Key, Place>();
    try {
      for (const key of keys) {
        assertNotStopped(spec.migration, signal);
        const range = { start: key, end: keyAfter(key) };
        let record: StoredRecord | null = null;
        const unplaced: Unplaced[] = [];
        for await (const page of scanPages(engine, view, range, signal)) {
          record = page.records[0] ?? record;
          unplaced.push(...(page.unplaced ?? []));
        }
        places.set(key, { record, unplaced });
      }
      return places;
    } catch (error) {
      await shared.renew(view, error);
    }
  }
}

/** Whether a record that now has a letter's place is the letter's: of several that collided, whichever has been left. */
function mayBecome({ sourceKey, unplaced }: DeadLetter, record: StoredRecord): boolean {
  return unplaced?.reason === 'key.collision' || keyFromJson(sourceKey) === sourceKeyOf(record);
}

function isSameTrouble({ sourceKey, unplaced }: DeadLetter, { reason, sourceKeys }: Unplaced): boolean {
  if (reason === 'key.collision') return unplaced === undefined || unplaced.reason === reason;
  return sourceKeys.includes(keyFromJson(sourceKey));
}

/** Why a record that is no longer where its letter was written stays dead; null: the rules leave it out. */
function whereItWent(image: Image): string | null {
  switch (image.kind) {
    case 'dropped':
      return null;
    case 'unplaced':
      return unplacedReason(image.unplaced);
    case 'kept':
    case 'untraced':
      // It may be another chunk's by now, and another record's as well: only a new plan tells.
      return `it becomes ${keyForDisplay(image.record.key)} by now, which this plan does not have: reconcile carries it`;
  }
}
