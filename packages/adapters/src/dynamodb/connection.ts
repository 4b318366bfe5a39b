/**
 * The client and the requests that the store is made of. Every failure leaves here with its code.
 *
 * The SDK's own retries are off, because retries are the engine's; but for scans. A scan of a large table is thousands of
 * requests, and one that was refused for now must not begin all of it anew, so for these alone the SDK waits and repeats.
 */
import {
  BatchGetItemCommand,
  BatchWriteItemCommand,
  ConditionalCheckFailedException,
  DeleteItemCommand,
  DynamoDBClient,
  PutItemCommand,
  ScanCommand,
  TransactionCanceledException,
  TransactWriteItemsCommand,
  type AttributeValue,
  type CancellationReason,
  type ScanCommandInput,
  type TransactWriteItem,
  type WriteRequest,
} from '@aws-sdk/client-dynamodb';
import { KeyferryError } from '@keyferry/core';
import { failureNamed } from '../aws/failures.ts';
import { toStoreError } from './errors.ts';
import { attributesBytes, type Attributes } from './item-text.ts';
import { deleteMax, getMax } from './limits.ts';

export interface ConnectionOptions {
  /** The store's name in the configuration. */
  readonly name: string;
  readonly table: string;
  readonly region: string;
  /** Only for an emulator or an interface endpoint of a VPC; by default the region's own. */
  readonly endpoint?: string | undefined;
  /** How long one request may take; 10,000 by default. */
  readonly requestTimeoutMs?: number | undefined;
}

/** On what a write rests. */
export interface Condition {
  readonly ConditionExpression: string;
  readonly ExpressionAttributeNames: Record<string, string>;
  readonly ExpressionAttributeValues?: Record<string, AttributeValue>;
}

/** One write of one record's item. `when` null: whatever is there. */
export type Action = { readonly when: Condition | null } & (
  { readonly put: Attributes } | { readonly delete: Record<string, AttributeValue> }
);

/** `found` is what stood in the way; null: nothing; undefined: the service did not say. */
export interface Refusal {
  readonly at: number;
  readonly found: Attributes | null | undefined;
}

/** `refused` is empty where another one than a failed condition was the reason; then it throws. */
export type TransactionResult =
  { readonly kind: 'done' } | { readonly kind: 'cancelled'; readonly refused: readonly Refusal[] };

/** Further tries of one request of a scan, with the SDK's waits between them: about half a minute. */
const scanTriesMax = 10;

export class Connection {
  readonly name: string;
  readonly table: string;
  private readonly client: DynamoDBClient;
  private readonly scanClient: DynamoDBClient;

  constructor(options: ConnectionOptions) {
    this.name = options.name;
    this.table = options.table;
    const shared = clientOptions(options);
    this.client = new DynamoDBClient({ ...shared, maxAttempts: 1 });
    this.scanClient = new DynamoDBClient({ ...shared, maxAttempts: scanTriesMax });
  }

  async scanPage(
    input: Pick<ScanCommandInput, 'Segment' | 'TotalSegments'>,
    from: Attributes | null,
  ): Promise<{ readonly items: readonly Attributes[]; readonly next: Attributes | null }> {
    const command = new ScanCommand({
      TableName: this.table,
      ConsistentRead: true,
      ...input,
      ...(from === null ? {} : { ExclusiveStartKey: { ...from } }),
    });
    const { Items, LastEvaluatedKey } = await this.guarded(() => this.scanClient.send(command));
    return { items: Items ?? [], next: LastEvaluatedKey ?? null };
  }

  /** Those that are there, in any order, read with strong consistency. */
  async getMany(keys: readonly Record<string, AttributeValue>[]): Promise<readonly Attributes[]> {
    const items: Attributes[] = [];
    for (let at = 0; at < keys.length; at += getMax) {
      let open = keys.slice(at, at + getMax);
      while (open.length > 0) {
        const RequestItems = { [this.table]: { Keys: open, ConsistentRead: true } };
        const answer = await this.send((client) => client.send(new BatchGetItemCommand({ RequestItems })));
        items.push(...(answer.Responses?.[this.table] ?? []));
        open = this.leftOf(open, answer.UnprocessedKeys?.[this.table]?.Keys);
      }
    }
    return items;
  }

  /** Without conditions, in any order. */
  async deleteMany(keys: readonly Record<string, AttributeValue>[]): Promise<void> {
    for (let at = 0; at < keys.length; at += deleteMax) {
      let open = keys.slice(at, at + deleteMax).map((Key): WriteRequest => ({ DeleteRequest: { Key } }));
      while (open.length > 0) {
        const RequestItems = { [this.table]: open };
        const answer = await this.send((client) => client.send(new BatchWriteItemCommand({ RequestItems })));
        open = this.leftOf(open, answer.UnprocessedItems?.[this.table]);
      }
    }
  }

  /** @returns the refusal of a condition that did not hold; null: it is done */
  async write(action: Action): Promise<Refusal | null> {
    const shared = { TableName: this.table, ...action.when, ReturnValuesOnConditionCheckFailure: 'ALL_OLD' as const };
    try {
      await this.send((client) =>
        'put' in action
          ? client.send(new PutItemCommand({ ...shared, Item: { ...action.put } }))
          : client.send(new DeleteItemCommand({ ...shared, Key: action.delete })),
      );
      return null;
    } catch (error) {
      if (error instanceof ConditionalCheckFailedException) return { at: 0, found: error.Item ?? null };
      throw error;
    }
  }

  /** All or nothing, at twice the price. */
  async transact(items: readonly TransactWriteItem[]): Promise<TransactionResult> {
    try {
      await this.send((client) => client.send(new TransactWriteItemsCommand({ TransactItems: [...items] })));
      return { kind: 'done' };
    } catch (error) {
      if (!(error instanceof TransactionCanceledException)) throw error;
      return { kind: 'cancelled', refused: this.refusalsOf(error) };
    }
  }

  transactItem(action: Action): TransactWriteItem {
    const shared = { TableName: this.table, ...action.when, ReturnValuesOnConditionCheckFailure: 'ALL_OLD' as const };
    return 'put' in action
      ? { Put: { ...shared, Item: { ...action.put } } }
      : { Delete: { ...shared, Key: action.delete } };
  }

  /** For requests about the table itself. */
  async send<T>(request: (client: DynamoDBClient) => Promise<T>): Promise<T> {
    return await this.guarded(() => request(this.client));
  }

  close(): void {
    this.client.destroy();
    this.scanClient.destroy();
  }

  private async guarded<T>(request: () => Promise<T>): Promise<T> {
    try {
      return await request();
    } catch (error) {
      const isOutcome =
        error instanceof ConditionalCheckFailedException || error instanceof TransactionCanceledException;
      throw isOutcome ? error : toStoreError(this.name, error);
    }
  }

  private leftOf<T>(sent: readonly T[], left: readonly T[] = []): T[] {
    if (left.length < sent.length) return [...left];
    throw new KeyferryError('store.throttled', { store: this.name, detail: 'nothing of a batch was taken' });
  }

  /** @throws what another reason than a failed condition comes to: it says nothing about what is there */
  private refusalsOf(error: TransactionCanceledException): readonly Refusal[] {
    const refused: Refusal[] = [];
    for (const [at, reason] of (error.CancellationReasons ?? []).entries()) {
      if (reason.Code === 'ConditionalCheckFailed') refused.push({ at, found: foundIn(reason) });
      else if (reason.Code !== undefined && reason.Code !== 'None') throw this.cancelledBy(reason, error);
    }
    if (refused.length === 0) throw toStoreError(this.name, error);
    return refused;
  }

  /** A transaction fails with one name for all causes; each write has its own reason. */
  private cancelledBy({ Code = '', Message }: CancellationReason, cause: Error): unknown {
    const named = Object.assign(new Error(Message ?? cause.message, { cause }), { name: Code });
    return failureNamed(Code) === null ? toStoreError(this.name, cause) : toStoreError(this.name, named);
  }
}

/** What every client of the service is made with. */
export const clientOptions = ({ region, endpoint, requestTimeoutMs = 10_000 }: ConnectionOptions) => ({
  region,
  requestHandler: {
    connectionTimeout: Math.min(requestTimeoutMs, 5000),
    requestTimeout: requestTimeoutMs,
    throwOnRequestTimeout: true,
  },
  ...(endpoint === undefined ? {} : { endpoint }),
});

/** A reason without an item may mean that there is none, or that they were too many to tell: who cares looks itself. */
const foundIn = ({ Item }: CancellationReason): Attributes | undefined => Item;

/** What a request carries of an action: its item, and what it is compared with. */
export function actionBytes(action: Action): number {
  const item = attributesBytes('put' in action ? action.put : action.delete);
  return item + attributesBytes(action.when?.ExpressionAttributeValues ?? {});
}
