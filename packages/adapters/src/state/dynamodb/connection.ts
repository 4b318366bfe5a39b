/**
 * The client and the requests that the state is made of. Every failure leaves here with its code.
 *
 * The SDK's own retries are off (`maxAttempts: 1`): retries are the engine's, which has the patience, the jitter and the
 * clock. What was left undone of a batch is sent again at once as long as some of it is taken; a batch of which nothing
 * is taken is throttled like any other request, and waits with the engine.
 */
import {
  BatchGetItemCommand,
  BatchWriteItemCommand,
  ConditionalCheckFailedException,
  DeleteItemCommand,
  DynamoDBClient,
  GetItemCommand,
  PutItemCommand,
  QueryCommand,
  TransactionCanceledException,
  TransactWriteItemsCommand,
  type AttributeValue,
  type CancellationReason,
  type TransactWriteItem,
  type WriteRequest,
} from '@aws-sdk/client-dynamodb';
import { KeyferryError } from '@keyferry/core';
import { toStateError, whereOf, type StateTable } from './errors.ts';
import type { ItemKey } from './keys.ts';

export interface ConnectionOptions extends StateTable {
  /** Only for an emulator or an interface endpoint of a VPC; by default the region's own. */
  readonly endpoint?: string | undefined;
  /** How long one request may take; 10,000 by default. */
  readonly requestTimeoutMs?: number | undefined;
}

export type Item = Readonly<Record<string, AttributeValue>>;

/** On what a write rests: names and values are those of the expression. */
export interface Condition {
  readonly ConditionExpression: string;
  readonly ExpressionAttributeNames: Record<string, string>;
  readonly ExpressionAttributeValues?: Record<string, AttributeValue>;
}

export type SingleWrite = ({ readonly put: Item } | { readonly delete: ItemKey }) & { readonly when?: Condition };

/** `found` is what stood in the way of the write that failed; null: nothing is there. */
export type WriteResult = { readonly kind: 'done' } | { readonly kind: 'refused'; readonly found: Item | null };

export interface QueryPage {
  readonly items: readonly Item[];
  readonly next: Item | null;
}

/** Items of one batch: with parts of 300 KB a slow line can carry it within the time that one request may take. */
const batchMax = 8;

export class Connection {
  readonly table: StateTable;
  readonly where: string;
  private readonly client: DynamoDBClient;

  constructor({ table, region, endpoint, requestTimeoutMs = 10_000 }: ConnectionOptions) {
    this.table = { table, region };
    this.where = whereOf(this.table);
    this.client = new DynamoDBClient({
      region,
      maxAttempts: 1,
      requestHandler: {
        connectionTimeout: Math.min(requestTimeoutMs, 5000),
        requestTimeout: requestTimeoutMs,
        throwOnRequestTimeout: true,
      },
      ...(endpoint === undefined ? {} : { endpoint }),
    });
  }

  async get({ pk, sk }: ItemKey): Promise<Item | null> {
    const input = { TableName: this.table.table, Key: { pk: { S: pk }, sk: { S: sk } }, ConsistentRead: true };
    const { Item } = await this.send((client) => client.send(new GetItemCommand(input)));
    return Item ?? null;
  }

  /** One page of a partition in the order of sort keys. A page may hold fewer items than `limit`, even none. */
  async query(
    pk: string,
    options: { readonly after: string | null; readonly from: Item | null; readonly limit: number },
  ): Promise<QueryPage> {
    const { after, from, limit } = options;
    const input = {
      TableName: this.table.table,
      KeyConditionExpression: `pk = :pk${after === null ? '' : ' AND sk > :after'}`,
      ExpressionAttributeValues: { ':pk': { S: pk }, ...(after === null ? {} : { ':after': { S: after } }) },
      ConsistentRead: true,
      Limit: limit,
      ...(from === null ? {} : { ExclusiveStartKey: { ...from } }),
    };
    const { Items, LastEvaluatedKey } = await this.send((client) => client.send(new QueryCommand(input)));
    return { items: Items ?? [], next: LastEvaluatedKey ?? null };
  }

  async write(write: SingleWrite): Promise<WriteResult> {
    const shared = {
      TableName: this.table.table,
      ...write.when,
      ReturnValuesOnConditionCheckFailure: 'ALL_OLD' as const,
    };
    try {
      await this.send((client) =>
        'put' in write
          ? client.send(new PutItemCommand({ ...shared, Item: { ...write.put } }))
          : client.send(new DeleteItemCommand({ ...shared, Key: keyAttributes(write.delete) })),
      );
      return { kind: 'done' };
    } catch (error) {
      if (error instanceof ConditionalCheckFailedException) return { kind: 'refused', found: error.Item ?? null };
      throw error;
    }
  }

  /**
   * All or nothing, at twice the price.
   * @returns `refused` when the condition of the first write failed
   * @throws {KeyferryError} `state.busy` when that of another did: what the first one rests on has changed meanwhile
   */
  async transact(writes: readonly SingleWrite[]): Promise<WriteResult> {
    const TransactItems = writes.map((write): TransactWriteItem => {
      const shared = {
        TableName: this.table.table,
        ...write.when,
        ReturnValuesOnConditionCheckFailure: 'ALL_OLD' as const,
      };
      return 'put' in write
        ? { Put: { ...shared, Item: { ...write.put } } }
        : { Delete: { ...shared, Key: keyAttributes(write.delete) } };
    });
    try {
      await this.send((client) => client.send(new TransactWriteItemsCommand({ TransactItems })));
      return { kind: 'done' };
    } catch (error) {
      if (!(error instanceof TransactionCanceledException)) throw error;
      const [first, ...others] = error.CancellationReasons ?? [];
      if (first?.Code === 'ConditionalCheckFailed') return { kind: 'refused', found: first.Item ?? null };
      throw this.cancelled([...(first === undefined ? [] : [first]), ...others], error);
    }
  }

  /** Those that are there, in any order. */
  async getMany(keys: readonly ItemKey[]): Promise<readonly Item[]> {
    const items: Item[] = [];
    for (let at = 0; at < keys.length; at += batchMax) {
      let open: Record<string, AttributeValue>[] = keys.slice(at, at + batchMax).map(keyAttributes);
      while (open.length > 0) {
        const RequestItems = { [this.table.table]: { Keys: open, ConsistentRead: true } };
        const answer = await this.send((client) => client.send(new BatchGetItemCommand({ RequestItems })));
        items.push(...(answer.Responses?.[this.table.table] ?? []));
        open = this.leftOf(open, answer.UnprocessedKeys?.[this.table.table]?.Keys);
      }
    }
    return items;
  }

  /** Without conditions, in any order. */
  async writeMany(writes: readonly SingleWrite[]): Promise<void> {
    const requests = writes.map((write): WriteRequest =>
      'put' in write
        ? { PutRequest: { Item: { ...write.put } } }
        : { DeleteRequest: { Key: keyAttributes(write.delete) } },
    );
    for (let at = 0; at < requests.length; at += batchMax) {
      let open = requests.slice(at, at + batchMax);
      while (open.length > 0) {
        const RequestItems = { [this.table.table]: open };
        const answer = await this.send((client) => client.send(new BatchWriteItemCommand({ RequestItems })));
        open = this.leftOf(open, answer.UnprocessedItems?.[this.table.table]);
      }
    }
  }

  close(): void {
    this.client.destroy();
  }

  /** For requests about the table itself. */
  async send<T>(request: (client: DynamoDBClient) => Promise<T>): Promise<T> {
    try {
      return await request(this.client);
    } catch (error) {
      const isOutcome =
        error instanceof ConditionalCheckFailedException || error instanceof TransactionCanceledException;
      throw isOutcome ? error : toStateError(this.table, error);
    }
  }

  private leftOf<T>(sent: readonly T[], left: readonly T[] = []): T[] {
    if (left.length < sent.length) return [...left];
    throw new KeyferryError('state.throttled', { where: this.where, detail: 'nothing of a batch was taken' });
  }

  /** A transaction fails with one name for all causes; each write has its own reason. */
  private cancelled(reasons: readonly CancellationReason[], cause: Error): unknown {
    const reason = reasons.find(({ Code }) => Code !== undefined && Code !== 'None');
    if (reason?.Code === 'ConditionalCheckFailed')
      return new KeyferryError('state.busy', { where: this.where }, { cause });
    const error = new TypeError(reason?.Message ?? cause.message, { cause });
    error.name = reason?.Code ?? cause.name;
    return toStateError(this.table, error);
  }
}

function keyAttributes({ pk, sk }: ItemKey): Record<string, AttributeValue> {
  return { pk: { S: pk }, sk: { S: sk } };
}
