/** Goal: PostgreSQL keeps every promise of the ports. Method: core's suites, on a real server, over bytes and over text. */
import { serverOrSkip, startPostgres, type PostgresServer } from '@keyferry/servers';
import { feedContract, sourceContract, tailContract, targetContract } from '@keyferry/core/testing';
import { afterAll, beforeAll, describe } from 'vitest';
import { feedHarness, harnessOf } from './postgres-fixture.ts';

const available = await serverOrSkip('postgres-15');

describe.skipIf(!available.ok)(`on PostgreSQL 15${available.note}`, () => {
  let server: PostgresServer;
  beforeAll(async () => {
    server = await startPostgres({ walLevel: 'logical' });
  });
  afterAll(() => server.stop());
  sourceContract(
    'a table of text',
    harnessOf(() => server, 'text'),
  );
  targetContract(
    'a table of bytes',
    harnessOf(() => server, 'bytea'),
  );
  tailContract(
    'a table of bytes',
    harnessOf(() => server, 'bytea'),
  );
  for (const type of ['bytea', 'text'] as const)
    feedContract(
      `a table of ${type}`,
      feedHarness(() => server, type),
    );
});
