/**
 * Goal: a listing that is not whole is never taken for a smaller one, and one that moved is read again.
 * Method: pages of a list that changes between two of them, in each way in which offsets miss or repeat an entry.
 */
import { describe, expect, it } from 'vitest';
import { pageSize, readListing, type Page } from './listing.ts';

const signal = new AbortController().signal;
const many = (count: number, from = 0): string[] => Array.from({ length: count }, (_, i) => `a${from + i}`);

/** @param before does something to the list ahead of the n-th answer, from 0 */
function listing(
  entries: string[],
  before: (answer: number) => void = () => undefined,
  order = (all: string[]) => all,
) {
  const asked: { limit: number; offset: number }[] = [];
  return {
    asked,
    store: 'registry',
    what: 'artifacts',
    keyOf: (entry: string) => entry,
    page: (limit: number, offset: number): Promise<Page<string>> => {
      before(asked.length);
      asked.push({ limit, offset });
      const page = order([...entries]).slice(offset, offset + limit);
      return Promise.resolve({ count: entries.length, entries: page });
    },
  };
}

describe('readListing', () => {
  it.each([0, 1, pageSize - 1, pageSize, pageSize + 1, 3 * pageSize])('reads all of %i, each once', async (count) => {
    expect(await readListing(listing(many(count)), signal)).toEqual(many(count));
  });

  it('begins again when an entry before the offset is deleted, which moves all others up', async () => {
    const entries = many(pageSize + 2);
    const list = listing(entries, (answer) => void (answer === 1 && entries.shift()));
    expect(await readListing(list, signal)).toEqual(many(pageSize + 1, 1));
  });

  it('begins again when one is added and one deleted, so that the count is the same', async () => {
    const entries = many(pageSize + 2);
    const list = listing(entries, (answer) => {
      if (answer !== 1) return;
      entries.pop();
      entries.unshift('new');
    });
    expect(await readListing(list, signal)).toEqual(['new', ...many(pageSize + 1)]);
  });

  it('asks for all at once when the order has ties that fall either way', async () => {
    let answers = 0;
    // Every second answer has the first two pages' worth the other way round.
    const turned = (all: string[]) => ((answers += 1) % 2 === 0 ? all.toReversed() : all);
    const list = listing(many(pageSize + 10), undefined, turned);
    expect((await readListing(list, signal)).toSorted()).toEqual(many(pageSize + 10).toSorted());
    expect(list.asked.at(-1)).toEqual({ limit: pageSize + 110, offset: 0 });
  });

  it('gives up on a list that never stands still, and says so', async () => {
    const entries = many(pageSize + 2);
    const list = listing(entries, (answer) => void entries.push(`more${answer}`));
    // All at once is one answer, which stands still by itself: only one that contradicts itself is refused.
    const lying = {
      ...list,
      page: async (limit: number, offset: number) => ({ ...(await list.page(limit, offset)), count: 5000 }),
    };
    await expect(readListing(lying, signal)).rejects.toMatchObject({
      code: 'store.answer-unexpected',
      message: expect.stringContaining('its list of artifacts did not stand still') as string,
    });
  });
});
