/**
 * keyferry's own items in the table, and how they are found without reading the table.
 *
 *     _keyferry/<migration>/epoch/<shard>              fence of the whole migration, the same in every shard
 *     _keyferry/<migration>/chunks/<shard>             which chunks were ever claimed
 *     _keyferry/<migration>/fence/<chunk>              fence of one chunk; marks of it, counted for each attempt
 *     _keyferry/<migration>/mark/<chunk>/<attempt>/<n> what one batch wrote (marks.ts)
 *     _keyferry/<migration>/back/<n>                   what one batch of a rollback put back
 *     _keyferry/<migration>/tail/<forward or reverse>  owner and position of a tail, and how often it wrote
 *     _keyferry/<migration>/done                       the done marker
 *
 * A table may have no order to list by, so each list starts from names that are known: shards, then chunks, then counts.
 *
 * The epoch is in shards because transactions that meet on one item, be it only to check it, cancel each other. A
 * transaction raises all of them, so it is still one step; a worker checks the one of its chunk.
 */
import type { AttributeValue, TransactWriteItem } from '@aws-sdk/client-dynamodb';
import {
  compareFences,
  fenceFromText,
  fenceToText,
  KeyferryError,
  keyFromText,
  type ChunkId,
  type Fence,
  type Key,
  type MigrationId,
  type TailName,
} from '@keyferry/core';
import type { Attributes } from './item-text.ts';
import { keyAttributes, type Mapping } from './mapping.ts';

/** At the 40,000 write units a second that a table may have by default, 200 transactions: six a second meet in a shard. */
export const shards = 32;

/** No key of a user's table has these names, whatever it calls its own. */
export const attribute = {
  fence: '_keyferryFence',
  chunks: '_keyferryChunks',
  back: '_keyferryBack',
  body: '_keyferryBody',
  position: '_keyferryPosition',
  sequence: '_keyferrySequence',
} as const;

const countPrefix = '_keyferryMarks';
export const countAttribute = (attempt: number): string => `${countPrefix}${attempt}`;

/** Of a table with a sort key; all of keyferry's items have this one. */
const ownSort = '-' as Key;

export class ControlItems {
  readonly store: string;
  readonly table: string;
  readonly migration: MigrationId;
  private readonly mapping: Mapping;
  private readonly prefix: string;

  constructor(store: string, table: string, mapping: Mapping, reservedPrefix: Key, migration: MigrationId) {
    this.store = store;
    this.table = table;
    this.migration = migration;
    this.mapping = mapping;
    this.prefix = `${reservedPrefix}${keyFromText(migration)}/`;
  }

  epoch = (shard: number) => this.key(`epoch/${shard}`);
  chunks = (shard: number) => this.key(`chunks/${shard}`);
  fence = (chunk: ChunkId) => this.key(`fence/${chunk}`);
  tail = (tail: TailName) => this.key(`tail/${tail}`);
  mark = (chunk: ChunkId, attempt: number, n: number) => this.key(`mark/${chunk}/${attempt}/${n}`);
  back = (n: number) => this.key(`back/${n}`);
  get done() {
    return this.key('done');
  }

  allTails() {
    return [this.tail('forward'), this.tail('reverse')];
  }

  allEpochs() {
    return Array.from({ length: shards }, (_, shard) => this.epoch(shard));
  }

  allChunks() {
    return Array.from({ length: shards }, (_, shard) => this.chunks(shard));
  }

  /** Of an item of ours, to tell several apart that came back in any order. */
  nameOf(item: Attributes): string {
    return JSON.stringify(
      item[this.mapping.hash.name]?.S ?? Buffer.from(item[this.mapping.hash.name]?.B ?? []).toString('latin1'),
    );
  }

  /** @throws {KeyferryError} `fence.unreadable` */
  fenceOf(item: Attributes | undefined): Fence | null {
    const text = item?.[attribute.fence]?.S;
    if (text === undefined) return null;
    const fence = fenceFromText(text);
    if (fence !== null) return fence;
    throw new KeyferryError('fence.unreadable', { store: this.store, where: this.nameOf(item ?? {}) });
  }

  /** That an item of ours holds exactly this fence; changes nothing. */
  checkFence(key: Record<string, AttributeValue>, fence: Fence): TransactWriteItem {
    return {
      ConditionCheck: {
        TableName: this.table,
        Key: key,
        ConditionExpression: '#fence = :fence',
        ExpressionAttributeNames: { '#fence': attribute.fence },
        ExpressionAttributeValues: { ':fence': { S: fenceToText(fence) } },
      },
    };
  }

  /** The same, and one more in a count of marks that is held to be `count`. */
  countMark(key: Record<string, AttributeValue>, fence: Fence, counter: string, count: number): TransactWriteItem {
    return {
      Update: {
        TableName: this.table,
        Key: key,
        UpdateExpression: 'SET #count = :next',
        ConditionExpression: `#fence = :fence AND ${count === 0 ? '(attribute_not_exists(#count) OR #count = :count)' : '#count = :count'}`,
        ExpressionAttributeNames: { '#fence': attribute.fence, '#count': counter },
        ExpressionAttributeValues: {
          ':fence': { S: fenceToText(fence) },
          ':count': { N: String(count) },
          ':next': { N: String(count + 1) },
        },
      },
    };
  }

  /** Raises a fence, if there is none or a lower one. */
  raiseFence(key: Record<string, AttributeValue>, fence: Fence): TransactWriteItem {
    return {
      Update: {
        TableName: this.table,
        Key: key,
        UpdateExpression: 'SET #fence = :fence',
        ConditionExpression: 'attribute_not_exists(#fence) OR #fence < :fence',
        ExpressionAttributeNames: { '#fence': attribute.fence },
        ExpressionAttributeValues: { ':fence': { S: fenceToText(fence) } },
      },
    };
  }

  noteChunk(chunk: ChunkId): TransactWriteItem {
    return {
      Update: {
        TableName: this.table,
        Key: this.chunks(shardOf(chunk)),
        UpdateExpression: 'ADD #chunks :chunk',
        ExpressionAttributeNames: { '#chunks': attribute.chunks },
        ExpressionAttributeValues: { ':chunk': { SS: [chunk] } },
      },
    };
  }

  putBody(key: Record<string, AttributeValue>, body: Uint8Array): TransactWriteItem {
    return { Put: { TableName: this.table, Item: { ...key, [attribute.body]: { B: body } } } };
  }

  /** Attempts of which a chunk's fence counts marks, with the counts. */
  countsOf(item: Attributes): readonly { readonly attempt: number; readonly count: number }[] {
    return Object.entries(item).flatMap(([name, value]) =>
      name.startsWith(countPrefix) ? [{ attempt: Number(name.slice(countPrefix.length)), count: Number(value.N) }] : [],
    );
  }

  private key(name: string): Record<string, AttributeValue> {
    const hash = `${this.prefix}${name}` as Key;
    return keyAttributes(this.mapping, { hash, sort: this.mapping.sort === null ? null : ownSort });
  }
}

/** Chunks that are worked on at the same time follow each other, so they lie in different shards. */
export function shardOf(chunk: ChunkId): number {
  const number = Number(chunk.replace(/\D+/g, ''));
  return number % shards;
}

export const sameFence = (held: Fence | null, wanted: Fence): boolean =>
  held !== null && compareFences(held, wanted) === 0;
