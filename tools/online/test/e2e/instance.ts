/**
 * One instance of an application, as a process of its own: an instance of the real client that works from its start until
 * its standard input ends, with its switch in DynamoDB.
 *
 *     argument     an InstanceOrder as JSON
 *     stdout       {"operations":N} a line each, at every 10th; at its end {"tally":…}
 *     exit code    0; 1 when it found what it should not have
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { openEtcdV2OnlineSource } from '@keyferry/adapters/etcd-v2';
import { openEtcdV3OnlineTarget } from '@keyferry/adapters/etcd-v3';
import { openDynamoDbSwitch, type DynamoDbSwitchOptions } from '@keyferry/adapters/state-dynamodb';
import { openClient } from '@keyferry/client';
import { newTally, work } from '../application.ts';

export interface InstanceOrder {
  readonly name: string;
  readonly migration: string;
  readonly source: readonly string[];
  readonly target: readonly string[];
  readonly place: DynamoDbSwitchOptions;
  /** With a slash at its end: what is below it is this instance's alone. */
  readonly prefix: string;
  readonly counter: string;
  readonly requestLifeMs: number;
  readonly waitMaxMs: number;
}

/** What it did: own keys as they must be, and how often it counted up. */
export interface InstanceTally {
  readonly own: readonly (readonly [string, string])[];
  readonly counted: number;
}

/** Between two rounds: the machine is shared with servers and functions. */
const pauseMs = 10;
const tell = (line: object): void => void process.stdout.write(`${JSON.stringify(line)}\n`);

const order = JSON.parse(process.argv[2] ?? '') as InstanceOrder;
const { name, migration, requestLifeMs, waitMaxMs, prefix, counter } = order;
const client = await openClient({
  name,
  switch: openDynamoDbSwitch(order.place),
  source: openEtcdV2OnlineSource({ name: 'old', endpoints: order.source }),
  target: openEtcdV3OnlineTarget({ name: 'new', endpoints: order.target, migration }),
  requestLifeMs,
  waitMaxMs,
});
const told = new AbortController();
process.stdin.on('end', () => told.abort()).resume();
const tally = newTally();
for (let round = 0; !told.signal.aborted; round += 1) {
  await work(client, prefix, round, tally, counter);
  if (tally.operations % 10 === 0) tell({ operations: tally.operations });
  await sleep(pauseMs);
}
await client.close();
const done: InstanceTally = { own: [...tally.own], counted: tally.counted };
tell({ tally: done });
