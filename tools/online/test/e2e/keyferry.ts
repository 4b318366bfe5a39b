/** Runs the built binary in a folder, as a user does, and reads the document that it leaves. */
import { spawn, type ChildProcess } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { waitUntil } from '@keyferry/servers';

const binary = fileURLToPath(new URL('../../../../packages/cli/bin/keyferry.js', import.meta.url));

export interface Ended {
  readonly exitCode: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export class Keyferry {
  private readonly folder: string;
  private readonly env: NodeJS.ProcessEnv;

  constructor(folder: string, env: NodeJS.ProcessEnv = {}) {
    this.folder = folder;
    this.env = env;
  }

  start(args: readonly string[]): { readonly child: ChildProcess; readonly ended: Promise<Ended> } {
    const child = spawn(process.execPath, [binary, ...args, '--json'], {
      cwd: this.folder,
      env: { PATH: process.env['PATH'] ?? '', HOME: this.folder, ...this.env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let [stdout, stderr] = ['', ''];
    child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString()));
    child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
    const ended = new Promise<Ended>((resolve, reject) => {
      child.on('error', reject);
      child.on('close', (exitCode) => resolve({ exitCode, stdout, stderr }));
    });
    return { child, ended };
  }

  async run(args: readonly string[]) {
    const { exitCode, stdout, stderr } = await this.start(args).ended;
    return { exitCode, stderr, document: JSON.parse(stdout) as Record<string, unknown> };
  }

  /** Starts `apply` and kills it once it is done with so many chunks. */
  async killBehind(chunks: number, args: readonly string[], waitMaxMs: number): Promise<void> {
    const { child, ended } = this.start([...args, '--log-file', 'killed.log']);
    const chunksDone = async (): Promise<boolean> => {
      const log = await readFile(join(this.folder, 'killed.log'), 'utf8').catch(() => '');
      return log.split('\n').filter((line) => line.includes('"chunk.done"')).length >= chunks;
    };
    await waitUntil(chunksDone, waitMaxMs, 5);
    child.kill('SIGKILL');
    await ended;
  }
}
