/**
 * State in a DynamoDB table: for several machines and for functions, which share nothing else.
 *
 * Each change is one conditional request, which also brings back what stood in its way. Reads are strongly consistent.
 * Only bodies that are too large for an item take more: their parts first, and a transaction that names them
 * (part-sets.ts).
 */
import {
  invariant,
  KeyferryError,
  type StateEntry,
  type StateItems,
  type StateKind,
  type StatePage,
  type StateStore,
  type StateVersion,
  type StateWriteOutcome,
} from '@keyferry/core';
import { packBody, unpack, type PackedBody } from './body.ts';
import type { Condition, Connection, Item, SingleWrite, WriteResult } from './connection.ts';
import { compareIds, cutOf, format, itemKey, partitionsOf, sortKeyBefore } from './keys.ts';
import { listInOrder } from './listing.ts';
import { PartSets } from './part-sets.ts';
import { ensureTableFormat, formatOf } from './table-format.ts';
import { nextVersion, partCountOf } from './versions.ts';

export interface StoreOptions {
  /** Milliseconds since 1970. */
  readonly nowMs: () => number;
  /** Events are let go so long after they were written; null: never. */
  readonly eventsKeptMs: number | null;
}

/** Bodies of one page of a list; one more than that ends it, so that large items do not fill the memory. */
const pageBytesMax = 16 * 1024 * 1024;

/** A body that is gone before it was read has been replaced; this often in a row it has not. */
const rereadsMax = 20;

export class DynamoDbState implements StateStore {
  private readonly connection: Connection;
  private readonly options: StoreOptions;
  private readonly sets: PartSets;
  private formatIsThere: Promise<void> | null = null;
  private closed = false;

  constructor(connection: Connection, options: StoreOptions) {
    this.connection = connection;
    this.options = options;
    this.sets = new PartSets(connection, options.nowMs);
  }

  async read<K extends StateKind>(kind: K, scope: string, id: string): Promise<StateEntry<K> | null> {
    const connection = this.open();
    for (let reads = 0; reads < rereadsMax; reads += 1) {
      const head = await connection.get(itemKey(kind, scope, id));
      if (head === null) return null;
      const entry = await this.entryOf<K>(id, head);
      if (entry !== null) return entry;
    }
    throw new KeyferryError('state.busy', { where: connection.where });
  }

  async write<K extends StateKind>(
    kind: K,
    scope: string,
    id: string,
    item: StateItems[K],
    expected: StateVersion | 'absent',
  ): Promise<StateWriteOutcome<K>> {
    await this.ensureFormat();
    const body = await packBody(JSON.stringify(item));
    const parts = body.kind === 'parts' ? body.parts : [];
    const version = nextVersion(expected, parts.length);
    const put = this.headOf(kind, scope, id, version, body);
    const write = { put, when: expected === 'absent' ? isAbsent : isAt(expected) };
    if (parts.length === 0) return await this.change(kind, scope, id, version, write, expected);
    try {
      await this.sets.write(version, parts);
      const outcome = await this.change(kind, scope, id, version, write, expected, this.sets.adopt(version));
      if (outcome.kind === 'conflict') await this.sets.tidy(version);
      return outcome;
    } catch (error) {
      // Whether a lost answer was a yes is not known here: a set that a head names by now is not taken away.
      await this.sets.tidy(version);
      throw error;
    }
  }

  async remove<K extends StateKind>(
    kind: K,
    scope: string,
    id: string,
    expected: StateVersion,
  ): Promise<StateWriteOutcome<K>> {
    const write = { delete: itemKey(kind, scope, id), when: isAt(expected) };
    return await this.change(kind, scope, id, nextVersion(expected, 0), write, expected);
  }

  async list<K extends StateKind>(
    kind: K,
    scope: string,
    page: { readonly after: string | null; readonly itemsMax: number },
  ): Promise<StatePage<K>> {
    const { after, itemsMax } = page;
    const entries: StateEntry<K>[] = [];
    let bytes = 0;
    const listed = listInOrder(this.open(), {
      partitions: partitionsOf(kind, scope),
      after: after === null ? null : sortKeyBefore(after),
      itemsMax: itemsMax + 1,
      idOf,
    });
    try {
      for await (const { id, item } of listed) {
        if (after !== null && compareIds(id, after) <= 0) continue;
        if (entries.length >= itemsMax || bytes > pageBytesMax) return { entries, next: entries.at(-1)?.id ?? null };
        const entry = (await this.entryOf<K>(id, item)) ?? (await this.read(kind, scope, id));
        if (entry === null) continue; // removed since the query saw it
        entries.push(entry);
        bytes += sizeOf(item);
      }
    } catch (error) {
      // A page takes several requests. What is there already is a page too, or a table that throttles would see the same
      // queries again and again; whoever asks for the next one meets the error if it lasts.
      const last = entries.at(-1);
      if (last === undefined || !(error instanceof KeyferryError) || error.retry !== 'backoff') throw error;
      return { entries, next: last.id };
    }
    return { entries, next: null };
  }

  async close(): Promise<void> {
    this.closed = true;
    this.connection.close();
  }

  /** @param adopt for a body in parts: what goes with the write of its head */
  private async change<K extends StateKind>(
    kind: K,
    scope: string,
    id: string,
    version: StateVersion,
    write: SingleWrite,
    expected: StateVersion | 'absent',
    adopt: SingleWrite | null = null,
  ): Promise<StateWriteOutcome<K>> {
    const connection = this.open();
    const replacesParts = partCountOf(expected) > 0;
    const others = [...(adopt === null ? [] : [adopt]), ...(replacesParts ? [this.sets.disown(expected)] : [])];
    const result: WriteResult =
      others.length === 0 ? await connection.write(write) : await connection.transact([write, ...others]);
    if (result.kind === 'refused') {
      const { found } = result;
      // A request that was sent twice on its way: the first one did it.
      if (found?.['version']?.S === version) return { kind: 'written', version };
      return { kind: 'conflict', current: found === null ? null : await this.currentOf(kind, scope, id, found) };
    }
    if (replacesParts) await this.sets.tidy(expected);
    return { kind: 'written', version };
  }

  private async currentOf<K extends StateKind>(kind: K, scope: string, id: string, found: Item) {
    return (await this.entryOf<K>(id, found)) ?? (await this.read(kind, scope, id));
  }

  private headOf(kind: StateKind, scope: string, id: string, version: string, body: PackedBody): Item {
    const { pk, sk } = itemKey(kind, scope, id);
    const { nowMs, eventsKeptMs } = this.options;
    const expires = kind === 'event' && eventsKeptMs !== null;
    return {
      pk: { S: pk },
      sk: { S: sk },
      version: { S: version },
      format: { N: String(format) },
      ...(cutOf(id) === null ? {} : { id: { S: id } }),
      ...(body.kind === 'text' ? { body: { S: body.text } } : {}),
      ...(body.kind === 'gzip' ? { packed: { B: body.bytes } } : {}),
      // Seconds, as TTL wants them. Only a hint for the service: what has expired is shown until it is taken away.
      ...(expires ? { expiresAt: { N: String(Math.ceil((nowMs() + eventsKeptMs) / 1000)) } } : {}),
    };
  }

  /** Null when its parts are gone: the item has changed since. */
  private async entryOf<K extends StateKind>(id: string, head: Item): Promise<StateEntry<K> | null> {
    formatOf(head, this.connection.where);
    const version = (head['version']?.S ?? '') as StateVersion;
    const { body, packed } = head;
    const text = body?.S ?? (packed?.B === undefined ? await this.sets.read(version) : await unpack(packed.B));
    return text === null ? null : { id, item: JSON.parse(text) as StateItems[K], version };
  }

  /** A table that nobody has written to does not say yet which format it is of. */
  private async ensureFormat(): Promise<void> {
    this.formatIsThere ??= ensureTableFormat(this.open());
    try {
      await this.formatIsThere;
    } catch (error) {
      this.formatIsThere = null;
      throw error;
    }
  }

  private open(): Connection {
    invariant(!this.closed, 'the state was used after it was closed');
    return this.connection;
  }
}

const idOf = (item: Item): string => item['id']?.S ?? (item['sk']?.S ?? '').slice(1);

const sizeOf = (item: Item): number =>
  (item['body']?.S?.length ?? 0) + (item['packed']?.B?.length ?? 0) + partCountOf(item['version']?.S ?? '') * 300_000;

const isAbsent: Condition = {
  ConditionExpression: 'attribute_not_exists(#pk)',
  ExpressionAttributeNames: { '#pk': 'pk' },
};

const isAt = (version: StateVersion): Condition => ({
  ConditionExpression: '#version = :version',
  ExpressionAttributeNames: { '#version': 'version' },
  ExpressionAttributeValues: { ':version': { S: version } },
});
