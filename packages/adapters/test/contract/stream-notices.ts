/** What the stream of a table tells somebody beside keyferry, in the form in which Lambda hands it to a function. */
import { DescribeTableCommand } from '@aws-sdk/client-dynamodb';
import {
  DescribeStreamCommand,
  DynamoDBStreamsClient,
  GetRecordsCommand,
  GetShardIteratorCommand,
} from '@aws-sdk/client-dynamodb-streams';
import type { FeedNotice } from '@keyferry/core';
import { region, type Bench } from './dynamodb-fixture.ts';

/** Of all that is in the stream of an emulator, which has one shard. */
export async function noticesOf({ client, endpoint }: Bench, table: string): Promise<readonly FeedNotice[]> {
  const streams = new DynamoDBStreamsClient({ endpoint, region });
  const { Table } = await client.send(new DescribeTableCommand({ TableName: table }));
  const StreamArn = Table?.LatestStreamArn ?? '';
  const { StreamDescription } = await streams.send(new DescribeStreamCommand({ StreamArn }));
  const ShardId = StreamDescription?.Shards?.[0]?.ShardId ?? '';
  const from = { StreamArn, ShardId, ShardIteratorType: 'TRIM_HORIZON' } as const;
  const { ShardIterator } = await streams.send(new GetShardIteratorCommand(from));
  const { Records = [] } = await streams.send(new GetRecordsCommand({ ShardIterator }));
  streams.destroy();
  return Records.map(({ dynamodb }) => {
    const { SequenceNumber = '', Keys = {} } = dynamodb ?? {};
    const json = Object.entries(Keys).map(([name, { S, B }]) => [
      name,
      B === undefined ? { S } : { B: Buffer.from(B).toString('base64') },
    ]);
    return { log: StreamArn, number: SequenceNumber, keys: Object.fromEntries(json) as FeedNotice['keys'] };
  });
}
