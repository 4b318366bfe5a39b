/**
 * Where the stream of a table ends, although nobody tells it: behind items of keyferry's own.
 *
 *     LATEST in each open shard ─► write marks ─► read until each mark was seen, and one in each open shard ─► head
 *
 * A stream is behind its table, by less than a second as a rule and by no bound. So its newest record proves nothing of a
 * change that was acknowledged; but one that was written after that change, and that comes after it in the same shard, does
 * (SPEC R115). Nobody says in which shard an item's changes will lie. So a mark is written under numbered keys until each open
 * shard has shown one; which number lies where is remembered, and the next head costs one small write a shard.
 *
 * A mark that is seen nowhere lies in a shard that is not listed yet: all have to be seen, and the list is read again behind
 * the last of them.
 */
import { randomUUID } from 'node:crypto';
import { PutItemCommand } from '@aws-sdk/client-dynamodb';
import { invariant, KeyferryError, keyFromText, type Key } from '@keyferry/core';
import { systemClock } from '../../environment/system-clock.ts';
import type { Lanes } from '../../lanes.ts';
import type { Connection } from '../connection.ts';
import type { Attributes } from '../item-text.ts';
import type { Items } from '../items.ts';
import { keyAttributes, partsOfItem } from '../mapping.ts';
import { leavesOf, type Place } from './place.ts';
import type { Stream, StreamApi } from './stream-api.ts';

/** What marks are made with. */
export interface MarkContext {
  readonly connection: Connection;
  readonly items: Items;
  readonly lanes: Lanes;
  readonly api: StreamApi;
  /** Hears of every shard that is listed. */
  readonly heard: (shards: Awaited<ReturnType<StreamApi['shards']>>) => void;
}

const tokenAttribute = '_keyferryHead';
const numberAttribute = '_keyferryNumber';
/** As many as there are shards, and again for the chance that several fall into one. */
const marksMax = 20_000;
const pollMs = 200;
/** A stream is behind by seconds at most; a longer wait is told, and the engine asks again. */
const seenWithinMs = 60_000;
const deletedAtOnce = 100;

export class HeadMarks {
  private readonly context: MarkContext;
  /** The shard in which the changes of a number's item lie, as last seen. */
  private readonly homes = new Map<number, string>();

  constructor(context: MarkContext) {
    this.context = context;
  }

  /**
   * A place at or behind every change that was acknowledged before the call.
   * @throws {KeyferryError} `store.stream-unusable`; `store.timeout` when the stream does not show what was written
   */
  async head(): Promise<Place> {
    const { api } = this.context;
    const stream = await api.stream();
    const looking = new Looking(this.context, stream, this.homes);
    await looking.begin();
    const untilMs = systemClock.monotonicMs() + seenWithinMs;
    for (;;) {
      await looking.writeMissing();
      const isSeen = await looking.look();
      if (isSeen && (await looking.isWhole())) return looking.place();
      if (systemClock.monotonicMs() > untilMs) {
        const detail = `the stream of table ${api.table} did not show within ${seenWithinMs / 1000} s what was written to the table`;
        throw new KeyferryError('store.timeout', { store: api.store, detail });
      }
      if (!isSeen) await systemClock.sleep(pollMs);
    }
  }

  /** Takes the items away that marks left. */
  async end(): Promise<void> {
    const { connection, items } = this.context;
    // Numbers begin at 0 and none is left out.
    for (let from = 0; ; from += deletedAtOnce) {
      const keys = Array.from({ length: deletedAtOnce }, (_, i) => markKey(items, from + i));
      const found = await connection.getMany(keys);
      await connection.deleteMany(found.map((item) => keyOfItem(items, item)));
      if (found.length === 0) return;
    }
  }
}

/** One head, from its first look to its last. */
class Looking {
  private readonly context: MarkContext;
  private readonly stream: Stream;
  private readonly homes: Map<number, string>;
  private readonly token = randomUUID();
  /** Iterators of the shards that are read; null: at its end. */
  private readonly reading = new Map<string, string | null>();
  /** Sequence number of the first mark of this head. */
  private readonly seen = new Map<string, string>();
  private readonly unseen = new Set<number>();

  constructor(context: MarkContext, stream: Stream, homes: Map<number, string>) {
    this.context = context;
    this.stream = stream;
    this.homes = homes;
  }

  async begin(): Promise<void> {
    const listed = await this.list();
    await this.context.lanes.all(leavesOf(listed), async ({ id, isClosed }) => {
      // What comes after one that is closed is not listed yet, and holds what was written since.
      if (isClosed) this.reading.set(id, null);
      else await this.open(id, 'latest');
    });
  }

  /** One mark for each open shard that has shown none, once all that were written are seen. */
  async writeMissing(): Promise<void> {
    const { connection, items, lanes, api } = this.context;
    if (this.unseen.size > 0) return;
    const missing = this.openShards().filter((id) => !this.seen.has(id));
    const numbers = missing.map((id) => this.numberOf(id));
    // Before any shard is listed, one mark shows where.
    if (this.reading.size === 0) numbers.push(this.numberOf(null));
    await lanes.all(numbers, async (number) => {
      const Item = {
        ...markKey(items, number),
        [tokenAttribute]: { S: this.token },
        [numberAttribute]: { N: String(number) },
      };
      await connection.send((client) => client.send(new PutItemCommand({ TableName: api.table, Item })));
    });
  }

  /** @returns whether all marks were seen, and one in each open shard */
  async look(): Promise<boolean> {
    const { api, lanes } = this.context;
    await lanes.all(this.openShards(), async (id) => {
      const page = await api.records(this.reading.get(id) ?? '', Number.MAX_SAFE_INTEGER);
      if (page === 'trimmed' || page === 'expired') throw this.moved();
      for (const { image, sequence } of page.records) {
        if (image?.[tokenAttribute]?.S !== this.token) continue;
        const number = Number(image[numberAttribute]?.N);
        this.unseen.delete(number);
        this.homes.set(number, id);
        if (!this.seen.has(id)) this.seen.set(id, sequence);
      }
      this.reading.set(id, page.next);
    });
    if (this.openShards().length < this.reading.size || this.reading.size === 0) await this.follow();
    const isOpen = this.openShards().length === this.reading.size && this.reading.size > 0;
    return isOpen && this.unseen.size === 0 && this.openShards().every((id) => this.seen.has(id));
  }

  /** Whether no shard has come since: read behind the last mark. */
  async isWhole(): Promise<boolean> {
    return !(await this.follow());
  }

  place(): Place {
    const shards = this.openShards().map((id) => [id, this.seen.get(id) ?? 'begin'] as const);
    return { stream: this.stream.label, shards: new Map(shards) };
  }

  /** Opens what came since. A shard that ended, and has children, is no leaf any more. */
  private async follow(): Promise<boolean> {
    const listed = await this.list();
    const leaves = new Set(leavesOf(listed).map(({ id }) => id));
    const came = listed.filter(({ id, parent }) => {
      if (this.reading.has(id)) return false;
      return parent === null ? leaves.has(id) : this.reading.has(parent) || leaves.has(id);
    });
    await this.context.lanes.all(came, async ({ id }) => await this.open(id, 'begin'));
    for (const [id, iterator] of this.reading) if (iterator === null && !leaves.has(id)) this.reading.delete(id);
    return came.length > 0;
  }

  private async list() {
    const listed = await this.context.api.shards(this.stream);
    this.context.heard(listed);
    return listed;
  }

  private async open(id: string, begin: 'latest' | 'begin'): Promise<void> {
    const found = await this.context.api.iterator(this.stream, id, begin);
    if (typeof found === 'string') throw this.moved();
    this.reading.set(id, found.iterator);
  }

  private openShards(): readonly string[] {
    return [...this.reading].filter(([, iterator]) => iterator !== null).map(([id]) => id);
  }

  /** One that lies in the shard, as far as is known; or one of a shard that ended; or a new one. Held as unseen from here on. */
  private numberOf(shard: string | null): number {
    const free = [...this.homes].filter(([number]) => !this.unseen.has(number));
    const known = free.find(([, home]) => home === shard) ?? free.find(([, home]) => !this.reading.has(home));
    const number = known?.[0] ?? this.firstNew();
    if (number >= marksMax) {
      const detail = `${marksMax} marks did not fall into each open shard of the stream of table ${this.context.api.table}`;
      throw new KeyferryError('store.unsupported', { store: this.context.api.store, detail });
    }
    this.unseen.add(number);
    return number;
  }

  private firstNew(): number {
    let number = 0;
    while (this.homes.has(number) || this.unseen.has(number)) number += 1;
    return number;
  }

  /** Another attempt finds the shards as they are then. */
  private moved(): KeyferryError {
    const { store, table } = this.context.api;
    return new KeyferryError('store.timeout', {
      store,
      detail: `the shards of table ${table} moved while its head was read`,
    });
  }
}

function keyOfItem({ mapping }: Items, item: Attributes) {
  const parts = partsOfItem(mapping, item);
  invariant(parts !== null, 'an item has keys of other types than its table');
  return keyAttributes(mapping, parts);
}

function markKey({ mapping, reservedPrefix }: Items, number: number) {
  const hash = `${reservedPrefix}${keyFromText(`feed/head/${number}`)}` as Key;
  return keyAttributes(mapping, { hash, sort: mapping.sort === null ? null : ('-' as Key) });
}
