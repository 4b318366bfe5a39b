/**
 * One migration of the built command line, in a folder of its own: `plan`, `apply` and `verify` as users run them, each
 * a process of its own, with what it used and, from its log, when each phase began.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { runNode, type NodeRun } from '../measure/run-node.ts';
import { benchPrefix } from './records.ts';

export const keyferryProgram = new URL('../../../packages/cli/bin/keyferry.js', import.meta.url).pathname;

const logPollMs = 20;

export type StoreSettings =
  | { readonly kind: 'etcd-v2' | 'etcd-v3' | 'consul'; readonly endpoints: readonly string[] }
  | { readonly kind: 'etcd-v2-datadir'; readonly dataDir: string }
  | { readonly kind: 'etcd-v3-snapshot'; readonly path: string }
  | {
      readonly kind: 'postgres';
      readonly host: string;
      readonly port: number;
      readonly database: string;
      readonly auth: { readonly user: string; readonly password: { readonly file: string } };
      readonly tables: readonly {
        readonly table: string;
        readonly key: string;
        readonly value: { readonly column: string };
      }[];
    }
  | { readonly kind: 'sqlite'; readonly file: string }
  | { readonly kind: 'file'; readonly path: string; readonly format: 'ndjson' };

export interface MigrationSettings {
  readonly source: StoreSettings;
  readonly target: StoreSettings;
  /** By default that of the source. */
  readonly targetPrefix?: string;
  /** By default a file in the migration's folder. */
  readonly state?: Readonly<Record<string, unknown>>;
  /** By default keyferry's own. */
  readonly limits?: { readonly workers?: number; readonly chunkKeys?: number; readonly targetP99?: string };
  /** That the strategy needs, by name. */
  readonly otherStores?: Readonly<Record<string, StoreSettings>>;
  /** The strategy and what belongs to it. By default `offline`. */
  readonly online?: Readonly<Record<string, unknown>>;
}

export interface ApplyPhases {
  /** Program start, configuration, plan file, lock, preflight, staleness check, registering the chunks. */
  readonly beforeMs: number;
  /** First claim of a chunk to the last chunk done. */
  readonly backfillMs: number;
  readonly verifyMs: number;
}

/** What a command says of the time in which it held writes. */
export interface Hold {
  readonly heldMs: number;
  /** Records that changed while both sides were proven equal. */
  readonly compared: number;
}

export class BenchMigration {
  private readonly folder: string;

  private constructor(folder: string) {
    this.folder = folder;
  }

  static async create(settings: MigrationSettings): Promise<BenchMigration> {
    const { source, target, targetPrefix, state, limits, online = { strategy: 'offline' } } = settings;
    const folder = await mkdtemp(join(tmpdir(), 'keyferry-bench-'));
    const config = {
      version: 1,
      ...(state === undefined ? {} : { state }),
      stores: { source, target, ...settings.otherStores },
      migrations: {
        bench: {
          source: { store: 'source', prefix: benchPrefix },
          target: { store: 'target', prefix: targetPrefix ?? benchPrefix },
          ...online,
          ...(limits === undefined ? {} : { limits }),
        },
      },
    };
    await writeFile(join(folder, 'keyferry.yaml'), JSON.stringify(config));
    return new BenchMigration(folder);
  }

  plan(): Promise<NodeRun> {
    return this.run(['plan', 'bench', '--out', 'bench.kfplan']);
  }

  async apply(): Promise<NodeRun & { readonly phases: ApplyPhases }> {
    const log = join(this.folder, 'apply.log');
    const startedAtMs = Date.now();
    const run = await this.run(['apply', 'bench.kfplan', '--yes', '--log-file', log]);
    return { ...run, phases: phasesOf(await readFile(log, 'utf8'), startedAtMs, run.wallMs) };
  }

  /** Copies and carries until both sides were equal. */
  async copyOnline(): Promise<void> {
    await this.run(['apply', 'bench.kfplan', '--yes']);
  }

  /** For who looks at something else while it copies. */
  startApply(): ChildProcess {
    return this.start(['apply', 'bench.kfplan', '--yes', '--log-file', join(this.folder, 'apply.log')]);
  }

  /** Until its first chunk is claimed. */
  async untilCopying(apply: ChildProcess): Promise<void> {
    while (!(await readFile(join(this.folder, 'apply.log'), 'utf8').catch(() => '')).includes('"chunk.claimed"')) {
      if (apply.exitCode !== null) throw new Error(`apply ended with ${apply.exitCode}`);
      await sleep(logPollMs);
    }
  }

  /** Goes on carrying until it is killed or has to give way. */
  follow(): ChildProcess {
    return this.start(['apply', 'bench.kfplan', '--yes', '--follow']);
  }

  /** Until both sides were proven equal once: what follows gives way to a cutover from then on. */
  async untilProven(follower: ChildProcess): Promise<void> {
    for (;;) {
      if (follower.exitCode !== null) throw new Error(`apply --follow ended with ${follower.exitCode}`);
      const { stdout } = await this.run(['status', 'bench', '--json']);
      const { migrations } = JSON.parse(stdout) as { readonly migrations: readonly { readonly phase: string }[] };
      if (migrations[0]?.phase === 'replicating') return;
    }
  }

  async cutOver(): Promise<Hold> {
    const { stdout } = await this.run(['cutover', 'bench', '--yes', '--json']);
    return JSON.parse(stdout) as Hold;
  }

  /** After a cutover: applications are led back first. */
  async rollBack(): Promise<Hold> {
    const { stdout } = await this.run(['rollback', 'bench', '--yes', '--json']);
    return (JSON.parse(stdout) as { readonly ledBack: Hold }).ledBack;
  }

  /** Of its plan, for state in DynamoDB. */
  async estimatedStateWrites(): Promise<number> {
    const { stdout } = await this.run(['show', 'bench.kfplan', '--json']);
    const { cost } = JSON.parse(stdout) as { cost: { rows: readonly { what: string; units: number }[] } };
    const row = cost.rows.find(({ what }) => what === 'state writes');
    if (row === undefined) throw new TypeError('the plan does not say what its state costs');
    return row.units;
  }

  get configFile(): string {
    return join(this.folder, 'keyferry.yaml');
  }

  /** Leaves it to functions, and does not wait for them. */
  async submit(): Promise<void> {
    // Following ends with its time: functions are called by whoever measures them.
    await runNode(
      [keyferryProgram, 'apply', 'bench.kfplan', '--runner', 'lambda', '--timeout', '5s', '--quiet'],
      this.folder,
    ).catch(() => undefined);
  }

  createStateTable(): Promise<NodeRun> {
    return this.run(['state', 'create-table']);
  }

  verify(): Promise<NodeRun> {
    return this.run(['verify', 'bench']);
  }

  remove(): Promise<void> {
    return rm(this.folder, { recursive: true, force: true });
  }

  private start(args: readonly string[]): ChildProcess {
    const all = [keyferryProgram, ...args, '--quiet', '--no-input'];
    return spawn(process.execPath, all, { cwd: this.folder, stdio: 'ignore' });
  }

  private run(args: readonly string[]): Promise<NodeRun> {
    return runNode([keyferryProgram, ...args, '--quiet', '--no-input'], this.folder);
  }
}

function phasesOf(log: string, startedAtMs: number, wallMs: number): ApplyPhases {
  const events = log
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as { readonly type: string; readonly at: string });
  const first = events.find(({ type }) => type === 'chunk.claimed');
  const last = events.findLast(({ type }) => type === 'chunk.done');
  if (first === undefined || last === undefined) throw new Error('the log of apply names no chunk');
  const [backfillAtMs, verifyAtMs] = [Date.parse(first.at), Date.parse(last.at)];
  return {
    beforeMs: backfillAtMs - startedAtMs,
    backfillMs: verifyAtMs - backfillAtMs,
    verifyMs: startedAtMs + wallMs - verifyAtMs,
  };
}
