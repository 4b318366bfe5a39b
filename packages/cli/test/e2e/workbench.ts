/**
 * A folder of its own with a source file, a target database and a configuration, and the built binary to run in it.
 * Nothing of the environment that could change what the program does is passed on.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const binary = fileURLToPath(new URL('../../bin/keyferry.js', import.meta.url));

export interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Row {
  readonly key: string;
  readonly value: string;
  readonly expiresAt?: string;
}

export class Workbench {
  readonly folder: string;

  private constructor(folder: string) {
    this.folder = folder;
  }

  /** Migration `config` from `source.ndjson` to `target.db`. */
  static async create(source: readonly Row[], more = ''): Promise<Workbench> {
    const bench = new Workbench(await mkdtemp(join(tmpdir(), 'keyferry-e2e-')));
    await bench.write('keyferry.yaml', configText(more));
    await bench.writeRows(source);
    return bench;
  }

  path(file: string): string {
    return join(this.folder, file);
  }

  write(file: string, text: string): Promise<void> {
    return writeFile(this.path(file), text);
  }

  writeRows(source: readonly Row[]): Promise<void> {
    const sorted = source.toSorted((a, b) => (a.key < b.key ? -1 : 1));
    return this.write('source.ndjson', sorted.map((row) => `${JSON.stringify(row)}\n`).join(''));
  }

  read(file: string): Promise<string> {
    return readFile(this.path(file), 'utf8');
  }

  async readEvents(file: string): Promise<readonly Record<string, unknown>[]> {
    const lines = (await this.read(file)).split('\n').filter((line) => line !== '');
    return lines.map((line) => JSON.parse(line) as Record<string, unknown>);
  }

  start(
    args: readonly string[],
    env: Readonly<Record<string, string>> = {},
    stdoutFd: number | 'pipe' = 'pipe',
  ): { child: ChildProcess; ended: Promise<Ended> } {
    const child = spawn(process.execPath, [binary, ...args], {
      cwd: this.folder,
      // No compiled code is kept in that home: what is found there is what the command was about.
      env: { PATH: process.env['PATH'] ?? '', HOME: this.folder, NODE_DISABLE_COMPILE_CACHE: '1', ...env },
      stdio: ['ignore', stdoutFd, 'pipe'],
    });
    let [stdout, stderr] = ['', ''];
    child.stdout?.on('data', (chunk: Buffer) => (stdout += chunk.toString()));
    child.stderr?.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
    const ended = new Promise<Ended>((resolve, reject) => {
      child.on('error', reject);
      child.on('close', (code) => resolve({ code, stdout, stderr }));
    });
    return { child, ended };
  }

  /** @param stdoutFd where stdout goes; by default it is gathered */
  run(
    args: readonly string[],
    env: Readonly<Record<string, string>> = {},
    stdoutFd: number | 'pipe' = 'pipe',
  ): Promise<Ended> {
    return this.start(args, env, stdoutFd).ended;
  }

  /** Runs with --json and returns the one document. */
  async json(
    args: readonly string[],
  ): Promise<{ readonly code: number | null; readonly document: Record<string, unknown> }> {
    const { code, stdout } = await this.run([...args, '--json']);
    return { code, document: JSON.parse(stdout) as Record<string, unknown> };
  }

  remove(): Promise<void> {
    return rm(this.folder, { recursive: true, force: true });
  }
}

export function configText(more = ''): string {
  return [
    'version: 1',
    'stores:',
    '  old: { kind: file, path: source.ndjson, format: ndjson }',
    '  new: { kind: sqlite, file: target.db }',
    'migrations:',
    '  config:',
    '    source: { store: old, prefix: /config/ }',
    '    target: { store: new, prefix: /config/ }',
    '    strategy: offline',
    more,
    '',
  ].join('\n');
}

export function rows(count: number, valueBytes = 20): readonly Row[] {
  return Array.from({ length: count }, (_, i) => ({
    key: `/config/${['features', 'limits', 'routes'][i % 3]}/${String(i).padStart(6, '0')}`,
    value: `${i} `.padEnd(valueBytes, 'v'),
  }));
}

/** Looks again until `look` finds something; the test's own time limit ends it. */
export async function until<T>(look: () => Promise<T | null>): Promise<T> {
  for (;;) {
    const found = await look().catch(() => null); // the file that is waited for may not be there yet
    if (found !== null) return found;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
