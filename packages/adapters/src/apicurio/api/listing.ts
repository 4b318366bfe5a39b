/**
 * Reads a whole listing by offset, and proves that it is whole: every page says the same count, no entry comes twice, and all of
 * them together are as many as the count says.
 *
 *     page, page, … ──whole──► entries          ──a count that moved, one twice, too few──► once more, up to three times
 *
 * Offsets of a registry that is written, or whose order has ties, miss entries without a word: an entry that is deleted moves
 * all later ones up by a place, and a tie may fall either way on each page. So the last try asks for all in one answer, which
 * one query of the server makes.
 */
import { KeyferryError, type StopSignal } from '@keyferry/core';

export interface Page<T> {
  readonly count: number;
  readonly entries: readonly T[];
}

export interface Listing<T> {
  readonly store: string;
  /** For errors: `artifacts`. */
  readonly what: string;
  /** What no two entries share. */
  readonly keyOf: (entry: T) => string;
  readonly page: (limit: number, offset: number, signal: StopSignal) => Promise<Page<T>>;
}

export const pageSize = 500;
const tries = 3;

/** @throws {KeyferryError} `store.answer-unexpected`: the listing did not stand still, or is not one. */
export async function readListing<T>(listing: Listing<T>, signal: StopSignal): Promise<readonly T[]> {
  let why = '';
  let size = pageSize;
  for (let attempt = 1; attempt <= tries; attempt += 1) {
    const outcome = await readOnce(listing, size, signal);
    if (outcome.kind === 'whole') return outcome.entries;
    why = outcome.why;
    if (attempt === tries - 1) size = Math.max(pageSize, outcome.count + 100);
  }
  const detail = `its list of ${listing.what} did not stand still while it was read: ${why}`;
  throw new KeyferryError('store.answer-unexpected', { store: listing.store, detail });
}

type Outcome<T> =
  | { readonly kind: 'whole'; readonly entries: readonly T[] }
  | { readonly kind: 'torn'; readonly why: string; readonly count: number };

async function readOnce<T>({ page, keyOf }: Listing<T>, size: number, signal: StopSignal): Promise<Outcome<T>> {
  const entries = new Map<string, T>();
  let expected: number | null = null;
  for (let offset = 0; ; offset += size) {
    const { count, entries: found } = await page(size, offset, signal);
    expected ??= count;
    if (count !== expected) return { kind: 'torn', why: `its count went from ${expected} to ${count}`, count };
    for (const entry of found) {
      const key = keyOf(entry);
      if (entries.has(key)) return { kind: 'torn', why: `${key} came twice`, count };
      entries.set(key, entry);
    }
    if (entries.size === count) return { kind: 'whole', entries: [...entries.values()] };
    if (found.length < size) return { kind: 'torn', why: `it has ${entries.size} of ${count}`, count };
  }
}
