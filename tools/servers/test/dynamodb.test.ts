/**
 * Goal: the bench itself can be trusted: DynamoDB Local answers on the loopback interface only, keeps its data to
 * itself, and leaves nothing behind.
 * Method: the real server, asked by plain HTTP; what is asserted is only what other suites build on.
 */
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { networkInterfaces, tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { request, serverOrSkip, startDynamoDb, type DynamoDbServer } from '../src/index.ts';

const available = await serverOrSkip('dynamodb-local');

async function call(endpoint: string, operation: string, body: object): Promise<Record<string, unknown>> {
  const credential = 'Credential=local/20260101/eu-west-1/dynamodb/aws4_request';
  const reply = await request(endpoint, {
    method: 'POST',
    headers: {
      'x-amz-target': `DynamoDB_20120810.${operation}`,
      'content-type': 'application/x-amz-json-1.0',
      authorization: `AWS4-HMAC-SHA256 ${credential}, SignedHeaders=host, Signature=0`,
    },
    body: JSON.stringify(body),
  });
  return JSON.parse(reply.body) as Record<string, unknown>;
}

const createTable = (server: DynamoDbServer, name: string) =>
  call(server.endpoint, 'CreateTable', {
    TableName: name,
    BillingMode: 'PAY_PER_REQUEST',
    AttributeDefinitions: [{ AttributeName: 'k', AttributeType: 'S' }],
    KeySchema: [{ AttributeName: 'k', KeyType: 'HASH' }],
  });

describe.skipIf(!available.ok)(`DynamoDB Local${available.note}`, () => {
  it('has tables of its own, and ends with its process', async () => {
    await using one = await startDynamoDb();
    await using other = await startDynamoDb();
    await createTable(one, 'mine');
    expect(await call(one.endpoint, 'ListTables', {})).toEqual({ TableNames: ['mine'] });
    expect(await call(other.endpoint, 'ListTables', {})).toEqual({ TableNames: [] });
    await one.stop();
    await expect(call(one.endpoint, 'ListTables', {})).rejects.toThrow(/ECONNREFUSED/);
  });

  it('listens on the loopback interface only', async () => {
    await using server = await startDynamoDb();
    const { port } = new URL(server.endpoint);
    const outside = Object.values(networkInterfaces())
      .flatMap((addresses) => addresses ?? [])
      .filter(({ internal, family }) => !internal && family === 'IPv4');
    for (const { address } of outside) {
      await expect(call(`http://${address}:${port}`, 'ListTables', {})).rejects.toThrow(/ECONNREFUSED/);
    }
    expect(await call(server.endpoint, 'ListTables', {})).toEqual({ TableNames: [] });
  });

  it('keeps data in a directory that the caller names', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'keyferry-dynamodb-data-'));
    try {
      const first = await startDynamoDb({ dataDir: folder });
      await createTable(first, 'kept');
      await first.stop();
      expect(existsSync(folder)).toBe(true);
      await using second = await startDynamoDb({ dataDir: folder });
      expect(await call(second.endpoint, 'ListTables', {})).toEqual({ TableNames: ['kept'] });
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });

  it('refuses a port that is taken', async () => {
    await using first = await startDynamoDb();
    const port = Number(new URL(first.endpoint).port);
    await expect(startDynamoDb({ port })).rejects.toMatchObject({ code: 'server.port-taken' });
  });
});
