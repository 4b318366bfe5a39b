/**
 * What the tests of DynamoDB as a store share: a table of its own for each fixture, and an application that writes to it.
 * The application gives each item a revision (`rev`), as optimistic locking does; it belongs to no record.
 */
import {
  CreateTableCommand,
  DeleteItemCommand,
  PutItemCommand,
  UpdateTableCommand,
  UpdateTimeToLiveCommand,
  type AttributeValue,
  type StreamViewType,
} from '@aws-sdk/client-dynamodb';
import { keyFromText, type Key } from '@keyferry/core';
import type { Change, SeedRecord, TargetFixture, TargetHarness } from '@keyferry/core/testing';
import { openDynamoDbStore, type DynamoDbOptions, type Mapping } from '../../src/dynamodb/index.ts';
import { keyAttributes, partsOfKey, tombstoneOf, valueAttributes } from '../../src/dynamodb/mapping.ts';
import { region, type Bench } from './dynamodb-fixture.ts';

export type DynamoDbStore = ReturnType<typeof openDynamoDbStore>;

export interface DynamoDbStoreFixture extends Omit<TargetFixture, 'store' | 'openAnother'> {
  readonly store: DynamoDbStore;
  readonly table: string;
  readonly openAnother: (options?: Partial<DynamoDbOptions>) => Promise<DynamoDbStore>;
  /** Everything in the table. */
  readonly scan: () => Promise<readonly Record<string, AttributeValue>[]>;
  readonly putItem: (item: Record<string, AttributeValue>) => Promise<void>;
}

export const plainTable: Mapping = {
  hash: { name: 'id', type: 'string' },
  sort: null,
  separator: '/',
  value: { from: 'attribute', name: 'value', type: 'binary' },
  ttl: 'endsAt',
  leaveOut: new Set(['rev']),
};

export const sortedTable: Mapping = {
  ...plainTable,
  hash: { name: 'part', type: 'binary' },
  sort: { name: 'name', type: 'binary' },
};

/** In the future of the server, which takes nothing away before its time. */
const startMs = Date.parse('2100-01-01T00:00:00Z');
let tables = 0;
let revisions = 0;

export function storeHarness(bench: () => Bench, mapping: Mapping, options: Partial<DynamoDbOptions> = {}) {
  let passedMs = 0;
  const nowMs = () => startMs + passedMs;
  return {
    key: (name: string) => keyFromText(`contract/${name}`),
    nowMs,
    traits: { binaryKeys: mapping.hash.type === 'binary', expiryPrecisionMs: 1000, lawRuns: 10 },
    open: async (records: readonly SeedRecord[]) => {
      passedMs = 0;
      const fixture = await openStoreFixture(bench(), mapping, records, { nowMs, ...options });
      const passTime = (ms: number) => Promise.resolve(void (passedMs += ms));
      return { ...fixture, passTime };
    },
  } satisfies TargetHarness;
}

export async function openStoreFixture(
  bench: Bench,
  mapping: Mapping,
  records: readonly SeedRecord[] = [],
  options: Partial<DynamoDbOptions> = {},
): Promise<DynamoDbStoreFixture> {
  const table = await createTable(bench, mapping);
  const nowMs = options.nowMs ?? (() => startMs);
  const stores: DynamoDbStore[] = [];
  const open = (more: Partial<DynamoDbOptions> = {}): DynamoDbStore => {
    const { endpoint } = bench;
    const store = openDynamoDbStore({ name: 'test', table, region, endpoint, mapping, nowMs, ...options, ...more });
    stores.push(store);
    return store;
  };
  const { client } = bench;
  const keyOf = (key: Key) => {
    const parts = partsOfKey(mapping, key);
    if (typeof parts === 'string') throw new Error(parts);
    return keyAttributes(mapping, parts);
  };
  const putItem = async (Item: Record<string, AttributeValue>): Promise<void> => {
    await client.send(new PutItemCommand({ TableName: table, Item }));
  };
  const put = async ({ key, value, ttlMs }: SeedRecord): Promise<void> => {
    revisions += 1;
    const attributes = valueAttributes(mapping, value);
    if (typeof attributes === 'string') throw new Error(attributes);
    const ttl =
      mapping.ttl === null || ttlMs === null
        ? {}
        : { [mapping.ttl]: { N: String(Math.ceil((nowMs() + ttlMs) / 1000)) } };
    await putItem({ ...attributes, ...ttl, rev: { N: String(revisions) }, ...keyOf(key) });
  };
  const change = async (changes: readonly Change[]): Promise<void> => {
    for (const each of changes) {
      if ('put' in each) await put(each.put);
      else await client.send(new DeleteItemCommand({ TableName: table, Key: keyOf(each.delete) }));
    }
  };
  await Promise.all(records.map(put));
  return {
    store: open(),
    table,
    change,
    putItem,
    scan: () => bench.scan(table),
    putTombstone: (migration, key) => putItem({ ...keyOf(key), _keyferry: { S: tombstoneOf(migration) } }),
    openAnother: async (more) => open(more),
    close: async () => {
      for (const store of stores) await store.close();
    },
  };
}

/** Null: off. Turned on again it is another stream, and the table's history is gone. */
export async function setStream({ client }: Bench, TableName: string, type: StreamViewType | null): Promise<void> {
  const StreamSpecification = { StreamEnabled: type !== null, ...(type !== null && { StreamViewType: type }) };
  await client.send(new UpdateTableCommand({ TableName, StreamSpecification }));
}

async function createTable({ client }: Bench, { hash, sort, ttl }: Mapping): Promise<string> {
  tables += 1;
  const TableName = `store-${tables}`;
  const typeOf = (type: 'string' | 'binary') => (type === 'string' ? 'S' : 'B');
  await client.send(
    new CreateTableCommand({
      TableName,
      BillingMode: 'PAY_PER_REQUEST',
      AttributeDefinitions: [hash, ...(sort === null ? [] : [sort])].map(({ name, type }) => ({
        AttributeName: name,
        AttributeType: typeOf(type),
      })),
      KeySchema: [
        { AttributeName: hash.name, KeyType: 'HASH' },
        ...(sort === null ? [] : [{ AttributeName: sort.name, KeyType: 'RANGE' as const }]),
      ],
    }),
  );
  if (ttl !== null) {
    const TimeToLiveSpecification = { AttributeName: ttl, Enabled: true };
    await client.send(new UpdateTimeToLiveCommand({ TableName, TimeToLiveSpecification }));
  }
  return TableName;
}
