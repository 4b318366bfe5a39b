/**
 * What a migration costs in shared state: requests to DynamoDB of one `apply`, by kind, with 1, 4 and 16 workers.
 *
 * Requests are counted by a proxy, so nothing of keyferry's own is believed. Counts do not depend on the machine as long as
 * a chunk takes less than a checkpoint's interval: this is the floor, that of a quick target. A slow target adds a
 * checkpoint a worker every four seconds, and the lock a heartbeat every five.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startDynamoDb, startFaultyDynamoDb } from '@keyferry/servers';
import { Samples, type Benchmark, type Ratio } from '../benchmark.ts';
import { writeNdjson } from '../workload/local-files.ts';
import { BenchMigration } from '../workload/migration.ts';

const workerCounts = [1, 4, 16];
const writing = ['PutItem', 'DeleteItem', 'TransactWriteItems', 'BatchWriteItem'];

export const stateWrites: Benchmark = {
  rounds: 1,
  keys: 100_000,
  async run({ rounds, keys, note }) {
    const samples = new Samples();
    const ratios: Ratio[] = [];
    await using dynamo = await startDynamoDb();
    Object.assign(process.env, dynamo.credentials);
    const folder = await mkdtemp(join(tmpdir(), 'keyferry-bench-state-'));
    try {
      const path = join(folder, 'source.ndjson');
      writeNdjson(path, keys);
      for (const workers of workerCounts) {
        const perThousand: number[] = [];
        const estimated: number[] = [];
        for (let round = 1; round <= rounds; round += 1) {
          note(`${workers} workers, round ${round}`);
          const proxy = await startFaultyDynamoDb(dynamo.endpoint);
          const table = `bench-${workers}-${round}`;
          const migration = await BenchMigration.create({
            source: { kind: 'file', path, format: 'ndjson' },
            target: { kind: 'sqlite', file: join(folder, `${table}.db`) },
            state: { dynamodb: { table, region: 'eu-west-1', endpoint: proxy.endpoint } },
            limits: { workers },
          });
          try {
            await migration.createStateTable();
            await migration.plan();
            const before = new Map(proxy.counts);
            const { wallMs } = await migration.apply();
            const made = (operation: string) => (proxy.counts.get(operation) ?? 0) - (before.get(operation) ?? 0);
            const writes = writing.reduce((sum, operation) => sum + made(operation), 0);
            samples.add(`${workers} workers: writes`, 'requests', writes);
            samples.add(`${workers} workers: reads`, 'requests', made('GetItem') + made('BatchGetItem'));
            samples.add(`${workers} workers: queries`, 'requests', made('Query'));
            samples.add(`${workers} workers: apply`, 'ms', wallMs);
            perThousand.push((writes / keys) * 1000);
            const estimate = await migration.estimatedStateWrites();
            samples.add(`${workers} workers: writes that the plan estimated`, 'requests', estimate);
            estimated.push(Math.abs(estimate / writes - 1));
          } finally {
            await migration.remove();
            await proxy.close();
          }
        }
        ratios.push({
          name: `${workers} workers: state writes / 1,000 records`,
          samples: perThousand,
          wanted: { atMost: 1 },
        });
        ratios.push({
          name: `${workers} workers: how far the plan's estimate is off`,
          samples: estimated,
          wanted: { atMost: 0.2 },
        });
      }
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
    return {
      workload: `${keys.toLocaleString('en')} keys of 26 B with values of 100 B, NDJSON → SQLite, state in DynamoDB`,
      commands: { keyferry: 'keyferry plan bench --out bench.kfplan; keyferry apply bench.kfplan --yes' },
      series: samples.series(),
      ratios,
      versions: { 'DynamoDB Local': '3.3.1' },
      notMeasured: ['a slow target, whose chunks need checkpoints', 'the service itself: latency, throttling'],
    };
  },
};
