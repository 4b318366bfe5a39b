/**
 * The stream of a table, request by request: the service has a client of its own for them.
 *
 * What is lost is an outcome here and no failure: records are kept for a day, and a shard for as long as its last ones.
 */
import { DescribeTableCommand, type AttributeValue } from '@aws-sdk/client-dynamodb';
import {
  DescribeStreamCommand,
  DynamoDBStreamsClient,
  GetRecordsCommand,
  GetShardIteratorCommand,
  type GetShardIteratorCommandInput,
} from '@aws-sdk/client-dynamodb-streams';
import { KeyferryError } from '@keyferry/core';
import { clientOptions, type Connection, type ConnectionOptions } from '../connection.ts';
import { toStoreError } from '../errors.ts';
import type { Attributes } from '../item-text.ts';
import { shardsMax, type ListedShard, type ShardPlace } from './place.ts';

export interface Stream {
  readonly arn: string;
  readonly label: string;
}

export interface StreamRecord {
  readonly keys: Attributes;
  /** The item after the change; null: it was deleted, by somebody or by TTL. */
  readonly image: Attributes | null;
  readonly sequence: string;
}

export interface RecordsPage {
  readonly records: readonly StreamRecord[];
  /** Null: the shard is closed, and this was its end. */
  readonly next: string | null;
}

/** `trimmed`: the shard, or what followed the place in it, is there no more. `expired`: ask for an iterator anew. */
export type Outcome<T> = T | 'trimmed' | 'expired';

/** Of one answer; the service ends it at 1 MB, or at 1,000 records. */
const recordsMax = 1000;

export class StreamApi {
  readonly store: string;
  readonly table: string;
  private readonly connection: Connection;
  private readonly options: ConnectionOptions;
  private client: DynamoDBStreamsClient | null = null;

  constructor(connection: Connection, options: ConnectionOptions) {
    this.store = connection.name;
    this.table = connection.table;
    this.connection = connection;
    this.options = options;
  }

  /** Null: it has a stream that tells new items. Otherwise what is wrong, and the command that sets it right. */
  async whyUnusable(): Promise<{ readonly detail: string; readonly command: string } | null> {
    const found = await this.describeTable();
    return 'arn' in found ? null : found;
  }

  /** @throws {KeyferryError} `store.stream-unusable` */
  async stream(): Promise<Stream> {
    const found = await this.describeTable();
    if ('arn' in found) return found;
    const { detail, command } = found;
    throw new KeyferryError('store.stream-unusable', { store: this.store, detail, command });
  }

  async shards({ arn }: Stream): Promise<readonly ListedShard[]> {
    const listed: ListedShard[] = [];
    let from: string | undefined;
    do {
      const input = { StreamArn: arn, ...(from !== undefined && { ExclusiveStartShardId: from }) };
      const { StreamDescription } = await this.send((client) => client.send(new DescribeStreamCommand(input)));
      for (const { ShardId = '', ParentShardId, SequenceNumberRange } of StreamDescription?.Shards ?? []) {
        const isClosed = SequenceNumberRange?.EndingSequenceNumber !== undefined;
        listed.push({ id: ShardId, parent: ParentShardId ?? null, isClosed });
      }
      from = StreamDescription?.LastEvaluatedShardId;
    } while (from !== undefined);
    const open = listed.filter(({ isClosed }) => !isClosed).length;
    if (open <= shardsMax) return listed;
    const detail = `the stream of table ${this.table} has ${open} open shards; ${shardsMax} at most can be followed`;
    throw new KeyferryError('store.unsupported', { store: this.store, detail });
  }

  /** @param begin a place in the shard; `latest`: behind what is there now */
  async iterator({ arn }: Stream, shard: string, begin: ShardPlace): Promise<Outcome<{ readonly iterator: string }>> {
    const input: GetShardIteratorCommandInput = { StreamArn: arn, ShardId: shard, ...whereOf(begin) };
    const answer = await this.outcome((client) => client.send(new GetShardIteratorCommand(input)));
    if (typeof answer === 'string') return answer;
    const { ShardIterator } = answer;
    // Of a closed shard the service may give none: there is nothing behind it.
    if (ShardIterator === undefined) return 'trimmed';
    return { iterator: ShardIterator };
  }

  async records(iterator: string, max: number): Promise<Outcome<RecordsPage>> {
    const input = { ShardIterator: iterator, Limit: Math.min(recordsMax, max) };
    const answer = await this.outcome((client) => client.send(new GetRecordsCommand(input)));
    if (typeof answer === 'string') return answer;
    const { Records = [], NextShardIterator } = answer;
    const records = Records.map(({ eventName, dynamodb }): StreamRecord => {
      const { Keys, NewImage, SequenceNumber } = dynamodb ?? {};
      if (Keys === undefined || SequenceNumber === undefined || (NewImage === undefined && eventName !== 'REMOVE')) {
        const detail = `a record of the stream (${eventName ?? 'of no name'}) has no keys, number or item`;
        throw new KeyferryError('store.answer-unexpected', { store: this.store, detail });
      }
      return {
        keys: attributesOf(Keys),
        image: NewImage === undefined ? null : attributesOf(NewImage),
        sequence: SequenceNumber,
      };
    });
    return { records, next: NextShardIterator ?? null };
  }

  close(): void {
    this.client?.destroy();
  }

  private async describeTable(): Promise<Stream | { readonly detail: string; readonly command: string }> {
    const { table } = this;
    const { Table } = await this.connection.send((client) =>
      client.send(new DescribeTableCommand({ TableName: table })),
    );
    const { LatestStreamArn: arn, LatestStreamLabel: label, StreamSpecification } = Table ?? {};
    const { region, endpoint } = this.options;
    const where = `--region ${region}${endpoint === undefined ? '' : ` --endpoint-url ${endpoint}`}`;
    const update = `aws dynamodb update-table --table-name ${table} ${where} --stream-specification`;
    const on = `${update} StreamEnabled=true,StreamViewType=NEW_IMAGE`;
    if (StreamSpecification?.StreamEnabled !== true || arn === undefined || label === undefined) {
      return { detail: `table ${table} has no stream`, command: on };
    }
    const type = StreamSpecification.StreamViewType ?? '';
    if (type === 'NEW_IMAGE' || type === 'NEW_AND_OLD_IMAGES') return { arn, label };
    const detail = `the stream of table ${table} is of type ${type}, which does not tell the new item; who reads it now has to know of a change`;
    return { detail, command: `${update} StreamEnabled=false   and then   ${on}` };
  }

  private async outcome<T>(request: (client: DynamoDBStreamsClient) => Promise<T>): Promise<Outcome<T>> {
    try {
      return await this.send(request);
    } catch (error) {
      const cause = error instanceof KeyferryError ? error.cause : error;
      // API reference of DynamoDB Streams, "GetRecords" and "GetShardIterator": a shard that is gone is not found.
      const name = cause instanceof Error ? cause.name : '';
      if (name === 'TrimmedDataAccessException' || name === 'ResourceNotFoundException') return 'trimmed';
      if (name === 'ExpiredIteratorException') return 'expired';
      throw error;
    }
  }

  private async send<T>(request: (client: DynamoDBStreamsClient) => Promise<T>): Promise<T> {
    this.client ??= new DynamoDBStreamsClient({ ...clientOptions(this.options), maxAttempts: 1 });
    try {
      return await request(this.client);
    } catch (error) {
      // Of streams it says that requests come too fast (API reference, "DescribeStream").
      if (error instanceof Error && error.name === 'LimitExceededException') {
        throw new KeyferryError('store.throttled', { store: this.store, detail: error.message }, { cause: error });
      }
      throw toStoreError(this.store, error);
    }
  }
}

function whereOf(begin: ShardPlace): Pick<GetShardIteratorCommandInput, 'ShardIteratorType' | 'SequenceNumber'> {
  if (begin === 'latest') return { ShardIteratorType: 'LATEST' };
  if (begin === 'begin') return { ShardIteratorType: 'TRIM_HORIZON' };
  return { ShardIteratorType: 'AFTER_SEQUENCE_NUMBER', SequenceNumber: begin };
}

/** Both clients have the same types of attributes, each by its own name. */
const attributesOf = (item: Record<string, unknown>): Attributes => item as Record<string, AttributeValue>;
