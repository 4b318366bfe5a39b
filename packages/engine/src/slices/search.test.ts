/**
 * Goal: every item that can be worked on is found by searchers that begin anywhere and read pages of any size, and a search
 * ends once a whole round has none.
 * Method: a law over generated lists, held against the list itself.
 */
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Search, type SearchPage } from './search.ts';

const idOf = (n: number): string => `c${String(n).padStart(5, '0')}`;

/** A list whose items are worked on by whoever finds them. */
class List {
  readonly free: Set<string>;
  readonly ids: readonly string[];
  reads = 0;
  private readonly pageMax: number;

  constructor(total: number, free: readonly number[], pageMax: number) {
    this.ids = Array.from({ length: total }, (_, i) => idOf(i));
    this.free = new Set(free.filter((n) => n < total).map(idOf));
    this.pageMax = pageMax;
  }

  readonly read = async (after: string | null, upTo: string | null): Promise<SearchPage<string>> => {
    this.reads += 1;
    const from = this.ids.filter((id) => (after === null || id > after) && (upTo === null || id <= upTo));
    const page = from.slice(0, this.pageMax);
    const found = page.filter((id) => this.free.has(id));
    return {
      found,
      items: page.length,
      open: found.length,
      next: from.length > page.length ? (page.at(-1) ?? null) : null,
    };
  };
}

describe('a search', () => {
  it('law: finds each once that somebody takes, wherever it begins, and then ends', () =>
    fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 60 }),
        fc.array(fc.nat(59)),
        fc.nat(59),
        fc.integer({ min: 1, max: 20 }),
        async (total, free, start, pageMax) => {
          const list = new List(total, free, pageMax);
          const wanted = [...list.free].toSorted((a, b) => (a < b ? -1 : 1));
          const search = new Search(idOf(start % total), list.read);
          const taken: string[] = [];
          for (let id = await search.next(); id !== null; id = await search.next()) {
            if (list.free.delete(id)) taken.push(id);
          }
          expect(taken.toSorted((a, b) => (a < b ? -1 : 1))).toEqual(wanted);
          expect(search.whole).toEqual({ items: total, open: 0 });
        },
      ),
    ));

  it('reads a page or two where everything is free, however long the list is', async () => {
    const list = new List(
      10_000,
      Array.from({ length: 10_000 }, (_, i) => i),
      100,
    );
    const search = new Search(idOf(7777), list.read);
    for (let i = 0; i < 150; i += 1) expect(await search.next()).not.toBeNull();
    expect(list.reads).toBe(2);
  });

  it('serves several at once, and gives none of them what another one has', async () => {
    const list = new List(
      30,
      Array.from({ length: 30 }, (_, i) => i),
      4,
    );
    const search = new Search(idOf(11), list.read);
    const found = await Promise.all(Array.from({ length: 30 }, () => search.next()));
    expect(new Set(found).size).toBe(30);
  });

  it('says what is left in other hands', async () => {
    const search = new Search<string>(idOf(0), async () => ({ found: [], items: 5, open: 2, next: null }));
    expect(await search.next()).toBeNull();
    expect(search.whole).toEqual({ items: 10, open: 4 });
  });
});
