/**
 * A list in the order of ids, over all partitions of a kind and scope: a merge of queries that each page as they like.
 *
 *     shard 0  ──query──► a d …┐
 *     shard 1  ──query──► b c …├──► a b c d …
 *
 * A page of a query ends after 1 MB, whatever was asked for, and may be empty; it is the end only where no next page is
 * named.
 */
import type { Connection, Item } from './connection.ts';
import { areUnordered, compareIds } from './keys.ts';

export interface Listed {
  readonly id: string;
  readonly item: Item;
}

export interface ListRequest {
  readonly partitions: readonly string[];
  /** A sort key to begin behind; null: at the beginning. */
  readonly after: string | null;
  /** About how many items will be wanted in all. */
  readonly itemsMax: number;
  readonly idOf: (item: Item) => string;
}

export async function* listInOrder(connection: Connection, request: ListRequest): AsyncGenerator<Listed> {
  const { partitions, itemsMax } = request;
  // A hash spreads ids evenly enough for a quarter more than the average to do for most pages.
  const limit = partitions.length === 1 ? itemsMax : Math.ceil((itemsMax / partitions.length) * 1.25) + 1;
  const cursors = partitions.map((pk) => new Cursor(connection, pk, limit, request));
  await Promise.all(cursors.map((cursor) => cursor.fill()));
  for (;;) {
    const least = cursors.reduce<Cursor | null>((best, cursor) => (cursor.isBefore(best) ? cursor : best), null);
    if (least === null) return;
    yield await least.take();
  }
}

/** The way through one partition; `fill` has always looked ahead far enough to know what comes first. */
class Cursor {
  private readonly connection: Connection;
  private readonly pk: string;
  private readonly limit: number;
  private readonly request: ListRequest;
  private ahead: Listed[] = [];
  private from: Item | null = null;
  private ended = false;

  constructor(connection: Connection, pk: string, limit: number, request: ListRequest) {
    this.connection = connection;
    this.pk = pk;
    this.limit = limit;
    this.request = request;
  }

  isBefore(other: Cursor | null): boolean {
    const [own, others] = [this.ahead[0], other?.ahead[0]];
    return own !== undefined && (others === undefined || compareIds(own.id, others.id) < 0);
  }

  async take(): Promise<Listed> {
    const first = this.ahead.shift() as Listed;
    await this.fill();
    return first;
  }

  async fill(): Promise<void> {
    while (!this.ended && this.ahead.every(({ item }) => areUnordered(sortKey(item), sortKey(this.ahead[0]?.item)))) {
      const { after, idOf } = this.request;
      const page = await this.connection.query(this.pk, { after, from: this.from, limit: this.limit });
      this.ahead.push(...page.items.map((item) => ({ id: idOf(item), item })));
      this.from = page.next;
      this.ended = page.next === null;
    }
    this.sortFirst();
  }

  /** Long ids that begin alike lie in the order of their hashes; all of them are here once something else follows. */
  private sortFirst(): void {
    const [first] = this.ahead;
    const other = this.ahead.findIndex(({ item }) => !areUnordered(sortKey(first?.item), sortKey(item)));
    const end = other === -1 ? this.ahead.length : other;
    if (end < 2) return;
    const alike = this.ahead.splice(0, end).toSorted((a, b) => compareIds(a.id, b.id));
    this.ahead.unshift(...alike);
  }
}

const sortKey = (item: Item | undefined): string => item?.['sk']?.S ?? '';
