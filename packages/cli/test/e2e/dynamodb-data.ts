/** Tables of the tests on DynamoDB Local, made, filled and looked at beside keyferry, in the words of its HTTP interface. */

/** Binaries are in base64 here. */
export type Item = Readonly<Record<string, Readonly<Record<string, unknown>>>>;

/** Records by the string of their partition key, and the names of keyferry's own items. */
export interface TableItems {
  readonly records: ReadonlyMap<string, Item>;
  readonly own: readonly string[];
}

/** The emulator takes any signature, but wants one. */
const authorization =
  'AWS4-HMAC-SHA256 Credential=local/20260101/eu-west-1/dynamodb/aws4_request, SignedHeaders=host, Signature=none';

async function call<T>(endpoint: string, operation: string, input: object, api = 'DynamoDB_20120810'): Promise<T> {
  const answer = await fetch(endpoint, {
    method: 'POST',
    headers: {
      authorization,
      'content-type': 'application/x-amz-json-1.0',
      'x-amz-target': `${api}.${operation}`,
    },
    body: JSON.stringify(input),
  });
  if (!answer.ok) throw new TypeError(`${operation}: ${await answer.text()}`);
  return (await answer.json()) as T;
}

export async function createTable(
  endpoint: string,
  TableName: string,
  { hash, sort, ttl }: { readonly hash: string; readonly sort?: string; readonly ttl?: string },
): Promise<void> {
  const names = [hash, ...(sort === undefined ? [] : [sort])];
  await call(endpoint, 'CreateTable', {
    TableName,
    BillingMode: 'PAY_PER_REQUEST',
    AttributeDefinitions: names.map((AttributeName) => ({ AttributeName, AttributeType: 'S' })),
    KeySchema: names.map((AttributeName, i) => ({ AttributeName, KeyType: i === 0 ? 'HASH' : 'RANGE' })),
  });
  if (ttl === undefined) return;
  const TimeToLiveSpecification = { AttributeName: ttl, Enabled: true };
  await call(endpoint, 'UpdateTimeToLive', { TableName, TimeToLiveSpecification });
}

export async function putItems(endpoint: string, TableName: string, items: readonly Item[]): Promise<void> {
  for (const Item of items) await call(endpoint, 'PutItem', { TableName, Item });
}

export async function deleteItem(endpoint: string, TableName: string, Key: Item): Promise<void> {
  await call(endpoint, 'DeleteItem', { TableName, Key });
}

/** Off and on again is another stream, with nothing of what was before. */
export async function setStream(endpoint: string, TableName: string, StreamEnabled: boolean): Promise<void> {
  const StreamSpecification = { StreamEnabled, ...(StreamEnabled && { StreamViewType: 'NEW_IMAGE' }) };
  await call(endpoint, 'UpdateTable', { TableName, StreamSpecification });
}

/** A record as Lambda hands it on, but for the ARN of its stream. */
export interface StreamedRecord {
  readonly eventSource: string;
  readonly dynamodb: { readonly SequenceNumber: string; readonly Keys: Item };
}

interface StreamShard {
  readonly arn: string;
  /** The one that the emulator has. */
  readonly shard: string;
}

const streams = 'DynamoDBStreams_20120810';

export async function streamOf(endpoint: string, TableName: string): Promise<StreamShard> {
  const { Table } = await call<{ readonly Table: { readonly LatestStreamArn: string } }>(endpoint, 'DescribeTable', {
    TableName,
  });
  const StreamArn = Table.LatestStreamArn;
  const { StreamDescription } = await call<{
    readonly StreamDescription: { readonly Shards: readonly { readonly ShardId: string }[] };
  }>(endpoint, 'DescribeStream', { StreamArn }, streams);
  return { arn: StreamArn, shard: StreamDescription.Shards[0]?.ShardId ?? '' };
}

/** @returns what reads on, up to so many records at a time */
export async function readStream(
  endpoint: string,
  { arn, shard }: StreamShard,
  ShardIteratorType: 'LATEST' | 'TRIM_HORIZON',
): Promise<(Limit: number) => Promise<readonly StreamedRecord[]>> {
  const from = { StreamArn: arn, ShardId: shard, ShardIteratorType };
  let { ShardIterator } = await call<{ ShardIterator: string }>(endpoint, 'GetShardIterator', from, streams);
  return async (Limit) => {
    const page = await call<{ readonly Records: readonly StreamedRecord[]; readonly NextShardIterator: string }>(
      endpoint,
      'GetRecords',
      { ShardIterator, Limit },
      streams,
    );
    ShardIterator = page.NextShardIterator;
    return page.Records;
  };
}

/** @throws {TypeError} for a table whose partition key is not `id` */
export async function itemsOf(endpoint: string, TableName: string): Promise<TableItems> {
  const records = new Map<string, Item>();
  const own: string[] = [];
  let from: Item | undefined;
  do {
    const input = { TableName, ConsistentRead: true, ...(from && { ExclusiveStartKey: from }) };
    const page = await call<{ readonly Items: readonly Item[]; readonly LastEvaluatedKey?: Item }>(
      endpoint,
      'Scan',
      input,
    );
    for (const item of page.Items) {
      const id = item['id']?.['S'];
      if (typeof id !== 'string') throw new TypeError('an item without id');
      if (id.startsWith('_keyferry/')) own.push(id);
      else records.set(id, item);
    }
    from = page.LastEvaluatedKey;
  } while (from !== undefined);
  return { records, own };
}
