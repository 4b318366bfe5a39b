/** Two streams of records in the order of their keys, none in both, as one. */
import type { Key, StoredRecord } from '@keyferry/core';

type Records = readonly StoredRecord[];

/** Pages of `one` and `other`, cut where they meet. Memory is a page of each. */
export async function* mergedRecords(
  one: AsyncIterable<Records> | Iterable<Records>,
  other: AsyncIterable<Records> | Iterable<Records>,
): AsyncGenerator<Records, void, undefined> {
  const sides = [new Side(one), new Side(other)] as const;
  try {
    await Promise.all(sides.map((side) => side.fill()));
    for (;;) {
      const [a, b] = sides;
      const [first, second] = b.head === null || (a.head !== null && a.head < b.head) ? [a, b] : [b, a];
      if (first.head === null) return;
      yield first.takeBelow(second.head);
      await first.fill();
    }
  } finally {
    await Promise.all(sides.map((side) => side.close()));
  }
}

class Side {
  private readonly pages: AsyncIterator<Records> | Iterator<Records>;
  private page: Records = [];

  constructor(pages: AsyncIterable<Records> | Iterable<Records>) {
    this.pages = Symbol.asyncIterator in pages ? pages[Symbol.asyncIterator]() : pages[Symbol.iterator]();
  }

  /** The next key; null at the end. */
  get head(): Key | null {
    return this.page[0]?.key ?? null;
  }

  async fill(): Promise<void> {
    while (this.page.length === 0) {
      const next = await this.pages.next();
      if (next.done === true) return;
      this.page = next.value;
    }
  }

  takeBelow(key: Key | null): Records {
    const { page } = this;
    const at = key === null ? -1 : page.findIndex((record) => record.key >= key);
    this.page = at < 0 ? [] : page.slice(at);
    return at < 0 ? page : page.slice(0, at);
  }

  async close(): Promise<void> {
    await this.pages.return?.();
  }
}
