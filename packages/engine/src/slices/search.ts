/**
 * Search: what of a long list can be worked on now, found a page at a time by many searchers at once.
 *
 *     id order:   |──────── second ────────|start|──────── first ────────|
 *
 * Each begins at a place of its own, drawn at random, so that a thousand functions neither read the whole list nor meet at
 * its first item. Once a round has found nothing it is over: what is left is in other hands, or done.
 */
import type { Random } from '@keyferry/core';

export interface SearchPage<T> {
  /** What can be worked on. */
  readonly found: readonly T[];
  /** Items of the page, and those of them that are not done. */
  readonly items: number;
  readonly open: number;
  /** Where the next page begins, as `after`; null: behind the last item, or behind `upTo`. */
  readonly next: string | null;
}

/** Reads the items after an id (null: from the first) up to another, itself included (null: to the last). */
export type ReadPage<T> = (after: string | null, upTo: string | null) => Promise<SearchPage<T>>;

export class Search<T> {
  private readonly read: ReadPage<T>;
  private readonly start: string;
  private readonly found: T[] = [];
  private place: { readonly after: string | null; readonly upTo: string | null };
  private round = { found: 0, items: 0, open: 0 };
  private reading: Promise<boolean> | null = null;
  /** Of the last round that came to its end: how many items there are, and how many of them were not done. */
  whole: { readonly items: number; readonly open: number } | null = null;

  constructor(start: string, read: ReadPage<T>) {
    this.start = start;
    this.read = read;
    this.place = { after: start, upTo: null };
  }

  /** The next candidate; null when a whole round has none. May be called again, by several at once. */
  async next(): Promise<T | null> {
    for (;;) {
      const found = this.found.shift();
      if (found !== undefined) return found;
      this.reading ??= this.readOn().finally(() => {
        this.reading = null;
      });
      if (!(await this.reading)) return null;
    }
  }

  /** @returns false when a round ended that has found nothing */
  private async readOn(): Promise<boolean> {
    const { after, upTo } = this.place;
    const page = await this.read(after, upTo);
    this.found.push(...page.found);
    this.round.found += page.found.length;
    this.round.items += page.items;
    this.round.open += page.open;
    if (page.next !== null) {
      this.place = { after: page.next, upTo };
      return true;
    }
    if (upTo === null) {
      this.place = { after: null, upTo: this.start };
      return true;
    }
    const { round } = this;
    this.whole = { items: round.items, open: round.open };
    this.round = { found: 0, items: 0, open: 0 };
    this.place = { after: this.start, upTo: null };
    return round.found > 0;
  }
}

/**
 * In an order of its own, for what is found in one page: searchers that meet there would else walk through it side by side,
 * each losing to the others at every step (testing/sim/scale.sim.test.ts).
 */
export function shuffled<T>(found: readonly T[], random: Pick<Random, 'uint32'>): readonly T[] {
  const order = [...found];
  for (let last = order.length - 1; last > 0; last -= 1) {
    const at = Math.floor((random.uint32() / 2 ** 32) * (last + 1));
    [order[last], order[at]] = [order[at] as T, order[last] as T];
  }
  return order;
}
