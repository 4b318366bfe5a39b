/**
 * What an application notices of a backfill beside it: p99 of its own requests, gets from the source and puts into the target, while
 * keyferry copies with its throttle by the target's latency (`limits: targetP99`), beside the same without keyferry right before and
 * right after, and beside keyferry without a throttle.
 *
 * The limit is 1.2 times the p99 of a put right before, so it is the machine's own. Only the backfill is looked at, from its
 * first chunk on: what comes before it reads as fast as it can, throttle or not. All of it shares one machine, processors and disk.
 */
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import type { EtcdServer } from '@keyferry/servers';
import { Samples, type Benchmark } from '../benchmark.ts';
import type { ForegroundRun } from '../children/foreground.ts';
import type { ChildOptions } from '../children/measured.ts';
import { spanOf, timesWithin, type Span } from '../measure/spans.ts';
import { quantile } from '../measure/spread.ts';
import { countV3, fillV3 } from '../workload/fill-v3.ts';
import { kill } from '../workload/make-mirror.ts';
import { BenchMigration } from '../workload/migration.ts';
import { endpointOf, startBenchEtcd } from '../workload/servers.ts';

const rate = 200;
const warmMs = 3000;
const spanMs = 15_000;
/** Of the baseline: keyferry's limit, and what is wanted. */
const share = 1.2;
const kinds = ['gets', 'puts'] as const;
const ways = ['with throttle', 'without throttle'] as const;
const program = new URL('../children/foreground.ts', import.meta.url).pathname;

export const foregroundP99: Benchmark = {
  rounds: 3,
  keys: 100_000,
  async run({ rounds, keys, note }) {
    const samples = new Samples();
    for (let round = 1; round <= rounds; round += 1) {
      for (const way of ways) {
        note(`round ${round}: ${way}`);
        await measure(way, keys, samples);
      }
    }
    return {
      workload: `${rate} gets and puts a second beside a copy of ${keys.toLocaleString('en')} keys of 26 B, values of 100 B, two etcd 3.5`,
      commands: {
        keyferry: 'keyferry plan; keyferry apply, with limits: { targetP99: 1.2 times the p99 of the puts }',
      },
      series: samples.series(),
      ratios: ways.flatMap((way) =>
        kinds.map((kind) =>
          samples.ratio(
            `p99 of ${kind}, ${way} / alone`,
            `${way}: p99 of ${kind}`,
            `${way}: p99 of ${kind} alone`,
            way === 'with throttle' ? { atMost: share } : null,
          ),
        ),
      ),
      versions: { etcd: '3.5.16' },
      notMeasured: [
        'plan, the check before the first write, verify: no limit paces them',
        'servers and keyferry on machines of their own',
      ],
    };
  },
};

async function measure(way: (typeof ways)[number], keys: number, samples: Samples): Promise<void> {
  await using source = await startBenchEtcd({ version: '3.5' });
  await using target = await startBenchEtcd({ version: '3.5' });
  await fillV3(endpointOf(source), keys);
  const limitMs = way === 'with throttle' ? await limitOf(source, target) : null;
  const application = await startForeground(source, target);
  const migration = await BenchMigration.create({
    source: { kind: 'etcd-v3', endpoints: source.endpoints },
    target: { kind: 'etcd-v3', endpoints: target.endpoints },
    ...(limitMs === null ? {} : { limits: { targetP99: `${limitMs}ms` } }),
  });
  try {
    await sleep(warmMs);
    const { span: before } = await spanOf(() => sleep(spanMs));
    await migration.plan();
    const apply = migration.startApply();
    let copying: Span;
    try {
      await migration.untilCopying(apply);
      const ended = new Promise((resolve) => apply.once('exit', resolve));
      copying = (await spanOf(() => Promise.race([ended, sleep(spanMs)]))).span;
    } finally {
      await kill(apply);
    }
    const copied = await countV3(endpointOf(target));
    const { span: after } = await spanOf(() => sleep(spanMs));
    const run = await application.end();
    for (const kind of kinds) {
      const alone = [before, after].flatMap((span) => timesWithin(run[kind], span));
      samples.add(`${way}: p99 of ${kind}`, 'ms', quantile(timesWithin(run[kind], copying), 0.99));
      samples.add(`${way}: p99 of ${kind} alone`, 'ms', quantile(alone, 0.99));
    }
    samples.add(`${way}: copied`, 'keys/s', (copied / (copying.untilMs - copying.fromMs)) * 1000);
    if (limitMs !== null) samples.add(`${way}: its limit`, 'ms', limitMs);
  } finally {
    application.kill();
    await migration.remove();
  }
}

/** In whole milliseconds. */
async function limitOf(source: EtcdServer, target: EtcdServer): Promise<number> {
  const application = await startForeground(source, target);
  try {
    await sleep(warmMs);
    const { span } = await spanOf(() => sleep(spanMs));
    const { puts } = await application.end();
    return Math.ceil(quantile(timesWithin(puts, span), 0.99) * share);
  } finally {
    application.kill();
  }
}

async function startForeground(source: EtcdServer, target: EtcdServer) {
  const options: Partial<ChildOptions> = { endpoint: endpointOf(source), targetEndpoint: endpointOf(target), rate };
  const child = spawn(process.execPath, [program, JSON.stringify(options)], { stdio: ['pipe', 'pipe', 'inherit'] });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  await hear();
  return {
    kill: () => child.kill('SIGKILL'),
    async end(): Promise<ForegroundRun> {
      child.stdin.end();
      return JSON.parse(await hear()) as ForegroundRun;
    },
  };

  async function hear(): Promise<string> {
    const line = await lines.next();
    if (line.done === true) throw new Error('the application ended before it was told to');
    return line.value;
  }
}
