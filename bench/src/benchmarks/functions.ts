/**
 * Functions: how large each handler's bundle is and how long it takes to load, what one `backfill` does in an invocation of 60
 * seconds, and which share of its time that was.
 *
 * Loading is measured in a process of its own, beside one that loads nothing. The invocation runs the built bundle through
 * the local cloud, alone, against real servers; it stops by itself, so its time is its own and not the timeout's.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { loadConfig, Redactor } from '@keyferry/adapters';
import { LocalFunction } from '@keyferry/lambda/local';
import { packageMigration, type FunctionName } from '@keyferry/lambda/packaging';
import { startDynamoDb } from '@keyferry/servers';
import { Samples, type Benchmark, type Ratio } from '../benchmark.ts';
import { runNode } from '../measure/run-node.ts';
import { fillV3 } from '../workload/fill-v3.ts';
import { BenchMigration } from '../workload/migration.ts';
import { endpointOf, startBenchEtcd } from '../workload/servers.ts';

const timeoutMs = 60_000;
const kilobyte = 1000;

export const functions: Benchmark = {
  rounds: 2,
  keys: 1_000_000,
  async run({ rounds, keys, note }) {
    const samples = new Samples();
    const useful: number[] = [];
    const sizes: Ratio[] = [];
    await using dynamo = await startDynamoDb();
    Object.assign(process.env, dynamo.credentials);
    await using source = await startBenchEtcd({ version: '3.5', unsafeNoFsync: true });
    note(`filling the source with ${keys.toLocaleString('en')} keys`);
    await fillV3(endpointOf(source), keys);
    const out = await mkdtemp(join(tmpdir(), 'keyferry-bench-functions-'));
    try {
      for (let round = 1; round <= rounds; round += 1) {
        await using target = await startBenchEtcd({ version: '3.5' });
        const migration = await BenchMigration.create({
          source: { kind: 'etcd-v3', endpoints: source.endpoints },
          target: { kind: 'etcd-v3', endpoints: target.endpoints },
          state: { dynamodb: { table: `bench-${round}`, region: 'eu-west-1', endpoint: dynamo.endpoint } },
          limits: { workers: 2 },
        });
        try {
          await migration.createStateTable();
          const config = await loadConfig(migration.configFile, { redactor: new Redactor() });
          const packaged = await packageMigration(config, 'bench', out);
          for (const { name, folder, bytes } of packaged.functions) {
            if (round === 1) sizes.push(sizeOf(name, bytes));
            const loading = await runNode(['-e', `require(${JSON.stringify(join(folder, 'index.cjs'))})`]);
            samples.add(`loading ${name}`, 'ms', loading.wallMs);
          }
          samples.add('an empty program', 'ms', (await runNode(['-e', '0'])).wallMs);
          note(`round ${round}: one invocation of ${timeoutMs / 1000} s`);
          await migration.plan();
          await migration.submit();
          const records = await invokeOnce(out, samples);
          useful.push(records.usefulShare);
        } finally {
          await migration.remove();
        }
      }
    } finally {
      await rm(out, { recursive: true, force: true });
    }
    return {
      workload: `${keys.toLocaleString('en')} keys of 26 B with values of 100 B, etcd v3 → v3, state in DynamoDB; one function, two workers`,
      commands: { keyferry: 'keyferry lambda package bench; keyferry apply bench.kfplan --runner lambda' },
      series: samples.series(),
      ratios: [...sizes, { name: 'time at work / time of the invocation', samples: useful, wanted: { atLeast: 0.9 } }],
      versions: { 'DynamoDB Local': '3.3.1' },
      notMeasured: ['AWS Lambda itself: its start of an environment, its network'],
    };
  },
};

/** kB of a handler with an etcd v3 client in it, beside what is allowed. */
function sizeOf(name: string, bytes: number): Ratio {
  return { name: `${name}: kB of its bundle / 900`, samples: [bytes / kilobyte / 900], wanted: { atMost: 1 } };
}

interface Ended {
  readonly outcome: string;
  readonly counts: { readonly written: number };
}

/** One cold invocation of `backfill` behind the `dispatch` that begins the attempt. */
async function invokeOnce(folder: string, samples: Samples): Promise<{ readonly usefulShare: number }> {
  const functionOf = (name: FunctionName, onLine: (line: string) => void) =>
    new LocalFunction({ name, folder: join(folder, name), timeoutMs, concurrency: 1, env: debugging, onLine });
  const times: number[] = [];
  const dispatch = functionOf('dispatch', () => undefined);
  const backfill = functionOf('backfill', (line) => {
    if (/"message":"(?:chunk\.claimed|chunk\.done)"/.test(line)) times.push(performance.now());
  });
  try {
    await dispatch.invoke();
    const startedAtMs = performance.now();
    const end = await backfill.invoke();
    const endedAtMs = performance.now();
    if (end.kind !== 'returned') throw new Error(`the invocation ${end.kind}`);
    const { counts, outcome } = end.result as Ended;
    if (outcome !== 'more') throw new Error(`it was ${outcome}: give it more keys than it can copy`);
    samples.add('records of one invocation', 'keys', counts.written);
    samples.add('records a second', 'keys/s', counts.written / ((endedAtMs - startedAtMs) / 1000));
    samples.add('an invocation', 'ms', endedAtMs - startedAtMs);
    // At work from the first chunk on until it stops; the rest is loading, opening, and what is kept for the deadline.
    return { usefulShare: (endedAtMs - (times[0] ?? endedAtMs)) / timeoutMs };
  } finally {
    await Promise.all([dispatch.close(), backfill.close()]);
  }
}

const debugging = { AWS_LAMBDA_LOG_LEVEL: 'DEBUG' };
