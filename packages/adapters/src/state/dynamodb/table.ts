/**
 * Making the table. Everything that applies to it over time (backups, encryption, tags, alarms) is for whoever runs it;
 * docs/operations/shared-state.md has it for Terraform too. What it must have is checked: keys, and that it is there.
 */
import {
  CreateTableCommand,
  DescribeTableCommand,
  DescribeTimeToLiveCommand,
  ResourceInUseException,
  UpdateTimeToLiveCommand,
  waitUntilTableExists,
  type CreateTableCommandInput,
} from '@aws-sdk/client-dynamodb';
import { KeyferryError } from '@keyferry/core';
import { Connection, type ConnectionOptions } from './connection.ts';
import { ensureTableFormat } from './table-format.ts';

/** `exists`: it was there already, and is as it must be. */
export type TableOutcome = 'created' | 'exists';

const waitMaxSeconds = 300;

/**
 * Makes the table, on demand and protected from deletion, waits until it can be used, and lets expired items go. May be
 * repeated.
 * @throws {KeyferryError} `state.unusable` when a table of that name has other keys; `state.denied`, `state.unreachable`
 */
export async function createStateTable(options: ConnectionOptions): Promise<TableOutcome> {
  const connection = new Connection(options);
  try {
    const outcome = await create(connection);
    await connection.send((client) =>
      waitUntilTableExists(
        { client, maxWaitTime: waitMaxSeconds, minDelay: 1, maxDelay: 10 },
        { TableName: options.table },
      ),
    );
    await assertKeys(connection);
    await ensureExpiry(connection);
    await ensureTableFormat(connection);
    return outcome;
  } finally {
    connection.close();
  }
}

const shape = {
  BillingMode: 'PAY_PER_REQUEST',
  AttributeDefinitions: [
    { AttributeName: 'pk', AttributeType: 'S' },
    { AttributeName: 'sk', AttributeType: 'S' },
  ],
  KeySchema: [
    { AttributeName: 'pk', KeyType: 'HASH' },
    { AttributeName: 'sk', KeyType: 'RANGE' },
  ],
  DeletionProtectionEnabled: true,
} satisfies Omit<CreateTableCommandInput, 'TableName'>;

async function create(connection: Connection): Promise<TableOutcome> {
  const input = { TableName: connection.table.table, ...shape };
  return await connection.send(async (client) => {
    try {
      await client.send(new CreateTableCommand(input));
      return 'created';
    } catch (error) {
      if (error instanceof ResourceInUseException) return 'exists';
      throw error;
    }
  });
}

async function assertKeys(connection: Connection): Promise<void> {
  const TableName = connection.table.table;
  const { Table } = await connection.send((client) => client.send(new DescribeTableCommand({ TableName })));
  const typeOf = (name: string | undefined) =>
    Table?.AttributeDefinitions?.find(({ AttributeName }) => AttributeName === name)?.AttributeType;
  const keys = (Table?.KeySchema ?? []).map((key) => `${key.AttributeName} ${typeOf(key.AttributeName)}`);
  if (keys.join() === 'pk S,sk S') return;
  const detail = `its keys are ${keys.join(' and ')}, and pk S and sk S are wanted`;
  throw new KeyferryError('state.unusable', { where: connection.where, detail });
}

async function ensureExpiry(connection: Connection): Promise<void> {
  const TableName = connection.table.table;
  await connection.send(async (client) => {
    const { TimeToLiveDescription } = await client.send(new DescribeTimeToLiveCommand({ TableName }));
    if (TimeToLiveDescription?.TimeToLiveStatus?.startsWith('ENABL') === true) return;
    const TimeToLiveSpecification = { AttributeName: 'expiresAt', Enabled: true };
    await client.send(new UpdateTimeToLiveCommand({ TableName, TimeToLiveSpecification }));
  });
}
