/**
 * Goal: DynamoDB keeps every promise of the ports, with fenced transactions and, but for fences, with single writes.
 * Method: core's suites on DynamoDB Local, on a table with one key and on one with two, of strings and of binaries.
 */
import { serverOrSkip } from '@keyferry/servers';
import { sourceContract, tailContract, targetContract } from '@keyferry/core/testing';
import { describe } from 'vitest';
import { useDynamoDb } from './dynamodb-fixture.ts';
import { plainTable, sortedTable, storeHarness } from './dynamodb-store-fixture.ts';

const available = await serverOrSkip('dynamodb-local');

describe.skipIf(!available.ok)(`on DynamoDB Local${available.note}`, () => {
  const bench = useDynamoDb();
  sourceContract('a table with a partition key', storeHarness(bench, plainTable));
  targetContract('a table with a partition key', storeHarness(bench, plainTable));
  targetContract('a table with a sort key, by single writes', storeHarness(bench, sortedTable, { writes: 'single' }));
  tailContract('a table with a partition key', storeHarness(bench, plainTable));
  tailContract('a table with a sort key, by single writes', storeHarness(bench, sortedTable, { writes: 'single' }));
});
