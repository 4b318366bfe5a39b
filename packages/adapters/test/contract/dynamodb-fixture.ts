/** Tables on DynamoDB Local, one for each test, and a look at what lies in them. */
import { DynamoDBClient, ScanCommand, type AttributeValue } from '@aws-sdk/client-dynamodb';
import { startDynamoDb, type DynamoDbServer } from '@keyferry/servers';
import { afterAll, beforeAll } from 'vitest';
import { createStateTable } from '../../src/state/dynamodb/index.ts';

export const region = 'eu-west-1';

export interface Bench {
  readonly endpoint: string;
  /** For children and for the SDK in this process, which finds it in the environment. */
  readonly credentials: DynamoDbServer['credentials'];
  readonly newTable: () => Promise<{ readonly table: string; readonly region: string; readonly endpoint: string }>;
  /** Everything in a table, by partition key. */
  readonly scan: (table: string) => Promise<readonly Record<string, AttributeValue>[]>;
  readonly client: DynamoDBClient;
}

/** A server for the tests of a file. Call it within a `describe` that is skipped where there is none. */
export function useDynamoDb(): () => Bench {
  let bench: (Bench & { readonly end: () => Promise<void> }) | null = null;
  beforeAll(async () => {
    const server = await startDynamoDb();
    Object.assign(process.env, server.credentials);
    const { endpoint, credentials } = server;
    const client = new DynamoDBClient({ endpoint, region });
    let tables = 0;
    bench = {
      endpoint,
      credentials,
      client,
      newTable: async () => {
        tables += 1;
        const options = { table: `state-${tables}`, region, endpoint };
        await createStateTable(options);
        return options;
      },
      scan: async (table) => {
        const items: Record<string, AttributeValue>[] = [];
        let from: Record<string, AttributeValue> | undefined;
        do {
          const input = { TableName: table, ConsistentRead: true, ...(from && { ExclusiveStartKey: from }) };
          const page = await client.send(new ScanCommand(input));
          items.push(...(page.Items ?? []));
          from = page.LastEvaluatedKey;
        } while (from !== undefined);
        return items;
      },
      end: async () => {
        client.destroy();
        await server.stop();
      },
    };
  });
  afterAll(() => bench?.end());
  return () => bench as Bench;
}
