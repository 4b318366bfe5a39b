/**
 * A folder of its own with one migration, `move`, between real servers, and the built binary to run in it. Each run keeps
 * a log in full detail, which tests follow to act at a chosen moment: a log line, and never a guess of how long it takes.
 */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { waitUntil } from '@keyferry/servers';
import { expect } from 'vitest';
import { startKeyferry, type Finished, type Running } from './run-keyferry.ts';

/** Long enough for everything; the test's own time limit ends it before. */
const waitMaxMs = 120_000;

export interface LogLine {
  /** RFC 3339. */
  readonly at: string;
  readonly type: string;
  readonly message: string;
  readonly data: Readonly<Record<string, unknown>>;
}

export interface LoggedRun extends Running {
  readonly log: () => Promise<readonly LogLine[]>;
  /** Resolves at the `count`-th line of this type. @throws when the run ends before. */
  readonly reaches: (type: string, count?: number) => Promise<void>;
}

export interface MigrationOptions {
  readonly source: Readonly<Record<string, unknown>>;
  readonly target: Readonly<Record<string, unknown>>;
  /** Both prefixes; default `/config/`. */
  readonly prefix?: string;
  readonly targetPrefix?: string;
  /** Fields of the migration besides source, target and strategy. */
  readonly settings?: Readonly<Record<string, unknown>>;
  /** Where the state is; by default in a file of the folder. */
  readonly state?: Readonly<Record<string, unknown>>;
}

export class MigrationFolder {
  readonly path: string;
  private readonly runs: Running[] = [];

  private constructor(path: string) {
    this.path = path;
  }

  static async create(options: MigrationOptions): Promise<MigrationFolder> {
    const folder = new MigrationFolder(await mkdtemp(join(tmpdir(), 'keyferry-e2e-')));
    await folder.configure(options);
    return folder;
  }

  async configure({
    source,
    target,
    prefix = '/config/',
    targetPrefix = prefix,
    settings = {},
    state,
  }: MigrationOptions): Promise<void> {
    const sides = { source: { store: 'old', prefix }, target: { store: 'new', prefix: targetPrefix } };
    const config = {
      version: 1,
      ...(state === undefined ? {} : { state }),
      stores: { old: source, new: target },
      migrations: { move: { ...sides, strategy: 'offline', ...settings } },
    };
    await this.write('keyferry.yaml', JSON.stringify(config));
  }

  file(name: string): string {
    return join(this.path, name);
  }

  write(name: string, text: string): Promise<void> {
    return writeFile(this.file(name), text);
  }

  /** Runs to the end, with `--json`. */
  run(args: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<Finished> {
    return this.start(args, env).output;
  }

  start(args: readonly string[], env: NodeJS.ProcessEnv = {}): LoggedRun {
    const logFile = `run-${this.runs.length}.log`;
    const running = startKeyferry([...args, '--json', '--log-file', logFile], this.path, env);
    this.runs.push(running);
    let ended = false;
    void running.output.then(() => (ended = true)).catch(() => undefined); // whoever awaits `output` gets the failure
    const log = async (): Promise<readonly LogLine[]> => {
      const lines = (await readFile(this.file(logFile), 'utf8').catch(() => '')).split('\n').slice(0, -1);
      return lines.map((line) => JSON.parse(line) as LogLine);
    };
    const reaches = async (type: string, count = 1): Promise<void> => {
      await waitUntil(
        async () => {
          const wasOver = ended;
          if ((await log()).filter((line) => line.type === type).length >= count) return true;
          if (!wasOver) return false;
          const { exitCode, stdout, stderr } = await running.output;
          throw new TypeError(`it ended with ${exitCode} before ${type} came ${count} times: ${stdout}${stderr}`);
        },
        waitMaxMs,
        5,
      );
    };
    return { ...running, log, reaches };
  }

  /** What is left running is ended, and everything removed. */
  async remove(): Promise<void> {
    for (const run of this.runs) run.kill('SIGKILL');
    await Promise.all(this.runs.map(({ ended }) => ended));
    await rm(this.path, { recursive: true, force: true });
  }
}

/** Findings of a plan with this one among them. */
export function findingsWith(wanted: object): unknown {
  return expect.arrayContaining([expect.objectContaining(wanted)]);
}

/** Polls until `look` says so; the test's own time limit ends it. */
export async function until(look: () => Promise<boolean>): Promise<void> {
  await waitUntil(look, waitMaxMs, 20);
}
