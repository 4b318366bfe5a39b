/**
 * Peak memory of `plan`, `apply` and `verify` at some keys and at ten times as many: it must not grow with them.
 *
 * Pages, plans and spools are on disk or bounded, so whatever grows is a leak of the design. Several pairs of stores,
 * because each has its own reader and writer; a million rows of PostgreSQL into Consul are a benchmark of their own, because
 * they take as long as the others together.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startConsul, startPostgres } from '@keyferry/servers';
import { Samples, type Benchmark, type BenchmarkOptions, type BenchmarkResult, type Ratio } from '../benchmark.ts';
import { consulPrefix } from '../workload/consul.ts';
import { fillPostgres } from '../workload/fill-postgres.ts';
import { fillV3 } from '../workload/fill-v3.ts';
import { writeNdjson, writeSqlite } from '../workload/local-files.ts';
import { BenchMigration, type MigrationSettings } from '../workload/migration.ts';
import { endpointOf, startBenchEtcd } from '../workload/servers.ts';

const times = 10;
const commands = ['plan', 'apply', 'verify'] as const;

export const memory = ofPairs(3, { etcd: '3.5.16' }, () => ({
  'etcd-v3 → etcd-v3': withEtcd,
  'sqlite → sqlite': withFiles('sqlite'),
  'file → sqlite': withFiles('file'),
}));

export const memoryConsul = ofPairs(1, { postgres: '15.18', consul: '1.8.7' }, () => ({
  'postgres → consul': withPostgresAndConsul,
}));

function ofPairs(
  rounds: number,
  versions: Readonly<Record<string, string>>,
  pairs: () => Readonly<Record<string, WithStores>>,
): Benchmark {
  return { rounds, keys: 100_000, run: (options) => measurePairs(options, versions, pairs()) };
}

async function measurePairs(
  { rounds, keys, note }: BenchmarkOptions,
  versions: Readonly<Record<string, string>>,
  pairs: Readonly<Record<string, WithStores>>,
): Promise<BenchmarkResult> {
  const samples = new Samples();
  const counts = [keys, keys * times];
  for (const [pair, withStores] of Object.entries(pairs)) {
    for (const count of counts) {
      await withStores(count, rounds, async (settings, round) => {
        note(`${pair}, ${count.toLocaleString('en')} keys, round ${round}`);
        await measure(`${pair}, ${count.toLocaleString('en')} keys`, settings, count, samples);
      });
    }
  }
  const ratios: Ratio[] = [];
  for (const pair of Object.keys(pairs)) {
    for (const command of commands) {
      const [few = '', many = ''] = counts.map((count) => `${pair}, ${count.toLocaleString('en')} keys: ${command}`);
      ratios.push(samples.ratio(`${pair}: ${command}, ten times the keys`, many, few, { atMost: 1.3 }));
      const grown = samples.of(many).map((mib, i) => mib - (samples.of(few)[i] ?? Number.NaN));
      ratios.push({ name: `${pair}: ${command}, MiB more`, samples: grown, wanted: { atMost: 64 } });
    }
  }
  return {
    workload: 'keys of 26 B with values of 100 B; peak resident memory of each command',
    commands: {
      keyferry: 'keyferry plan bench --out bench.kfplan; keyferry apply bench.kfplan --yes; keyferry verify bench',
    },
    series: samples.series(),
    ratios,
    versions,
    notMeasured: ['large values', 'plans with as many conflicts as keys', 'a peer'],
  };
}

type WithStores = (
  count: number,
  rounds: number,
  use: (settings: MigrationSettings, round: number) => Promise<void>,
) => Promise<void>;

const withEtcd: WithStores = async (count, rounds, use) => {
  await using source = await startBenchEtcd({ version: '3.5' });
  await fillV3(endpointOf(source), count);
  for (let round = 1; round <= rounds; round += 1) {
    await using target = await startBenchEtcd({ version: '3.5' });
    const store = (endpoints: readonly string[]) => ({ kind: 'etcd-v3', endpoints }) as const;
    await use({ source: store(source.endpoints), target: store(target.endpoints) }, round);
  }
};

const withPostgresAndConsul: WithStores = async (count, rounds, use) => {
  await using database = await startPostgres();
  await fillPostgres(database, count);
  const { host, port, database: name, user, password } = database;
  const folder = await mkdtemp(join(tmpdir(), 'keyferry-bench-stores-'));
  try {
    const file = join(folder, 'password');
    await writeFile(file, password);
    const tables = [{ table: 'kv', key: '{key...}', value: { column: 'value' } }];
    const source = {
      kind: 'postgres',
      host,
      port,
      database: name,
      auth: { user, password: { file } },
      tables,
    } as const;
    for (let round = 1; round <= rounds; round += 1) {
      await using kv = await startConsul();
      await use({ source, target: { kind: 'consul', endpoints: kv.endpoints }, targetPrefix: consulPrefix }, round);
    }
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
};

const withFiles =
  (kind: 'sqlite' | 'file'): WithStores =>
  async (count, rounds, use) => {
    const folder = await mkdtemp(join(tmpdir(), 'keyferry-bench-stores-'));
    try {
      const path = join(folder, 'source');
      if (kind === 'file') writeNdjson(path, count);
      else writeSqlite(path, count);
      const source = kind === 'file' ? ({ kind, path, format: 'ndjson' } as const) : { kind, file: path };
      for (let round = 1; round <= rounds; round += 1) {
        await use({ source, target: { kind: 'sqlite', file: join(folder, `target-${round}`) } }, round);
      }
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  };

async function measure(name: string, settings: MigrationSettings, count: number, samples: Samples): Promise<void> {
  const migration = await BenchMigration.create(settings);
  try {
    const runs = { plan: await migration.plan(), apply: await migration.apply(), verify: await migration.verify() };
    for (const command of commands) {
      const { peakMiB, wallMs } = runs[command];
      samples.add(`${name}: ${command}`, 'MiB', peakMiB);
      samples.add(`${name}: ${command}, rate`, 'keys/s', (count / wallMs) * 1000);
    }
  } finally {
    await migration.remove();
  }
}
