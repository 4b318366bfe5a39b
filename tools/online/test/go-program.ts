/** The Go toolchain of this machine, if there is one, and programs that are built with it. */
import { execFile, spawn, spawnSync, type ChildProcessByStdio } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import { promisify } from 'node:util';

export const goModule = join(import.meta.dirname, '../../../clients/go');

/** No toolchain is fetched, and no module: there is none to fetch. */
const env = { ...process.env, GOTOOLCHAIN: 'local', GOFLAGS: '-mod=mod -buildvcs=false', GOPROXY: 'off' };
const oldest = 22;

/** @returns empty, or ` (skipped: …)` for the title of a suite */
export function goSkipNote(): string {
  const { status, stdout } = spawnSync('go', ['env', 'GOVERSION'], { encoding: 'utf8', env });
  if (status !== 0) return ' (skipped: go is not installed)';
  const minor = Number(/^go1\.(\d+)/.exec(stdout)?.[1]);
  return minor >= oldest ? '' : ` (skipped: go is ${stdout.trim()}, and 1.${oldest} is needed)`;
}

/** @returns what it printed. @throws with that, when it failed */
export async function go(...args: readonly string[]): Promise<string> {
  const { stdout, stderr } = await promisify(execFile)('go', args, { cwd: goModule, env });
  return stdout + stderr;
}

/** A program that says on stderr how far it is, ends when its stdin does, and then prints one JSON document. */
export class GoProgram {
  private readonly process: ChildProcessByStdio<Writable, Readable, Readable>;
  private readonly ended: Promise<void>;
  private said = '';
  private printed = '';
  progress = 0;

  constructor(file: string, args: readonly string[]) {
    this.process = spawn(file, args, { stdio: 'pipe' });
    this.process.stdout.setEncoding('utf8').on('data', (text: string) => (this.printed += text));
    createInterface(this.process.stderr).on('line', (line) => {
      if (/^\d+$/.test(line)) this.progress = Number(line);
      else this.said += `${line}\n`;
    });
    this.ended = new Promise((resolve, reject) => {
      this.process.once('error', reject);
      this.process.once('close', (code) => {
        if (code === 0) resolve();
        else reject(new Error(`${file} ended with ${code}: ${this.said}`));
      });
    });
    // Whoever finishes it hears of a failure; until then it is nobody's.
    this.ended.catch(() => undefined);
  }

  get hasEnded(): boolean {
    return this.process.exitCode !== null || this.process.signalCode !== null;
  }

  async finish(): Promise<unknown> {
    this.process.stdin.end();
    await this.ended;
    return JSON.parse(this.printed);
  }

  kill(): void {
    this.process.kill('SIGKILL');
  }
}
