/** Runs the built binary as a user does, in a folder of its own, and follows its events. */
import { spawn } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';

const bin = join(import.meta.dirname, '../../bin/keyferry.js');

export interface Finished {
  readonly exitCode: number | null;
  readonly stdout: string;
  readonly stderr: string;
  /** The document on stdout, with `--json`. */
  readonly document: unknown;
}

export interface Running {
  readonly kill: (signal: NodeJS.Signals) => void;
  readonly ended: Promise<number | null>;
  readonly output: Promise<Finished>;
}

export function startKeyferry(args: readonly string[], folder: string, env: NodeJS.ProcessEnv = {}): Running {
  // CI and INIT_CWD are left out: the tests say themselves what kind of terminal and folder there is.
  const { CI: _ci, INIT_CWD: _folder, ...inherited } = process.env;
  const child = spawn(process.execPath, [bin, ...args], {
    cwd: folder,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...inherited, NO_COLOR: '1', ...env },
  });
  let [stdout, stderr] = ['', ''];
  child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
  const output = new Promise<Finished>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (exitCode) => {
      const document: unknown = args.includes('--json') && stdout !== '' ? JSON.parse(stdout) : null;
      resolve({ exitCode, stdout, stderr, document });
    });
  });
  return { kill: (signal) => child.kill(signal), output, ended: output.then(({ exitCode }) => exitCode) };
}

export function keyferry(args: readonly string[], folder: string, env: NodeJS.ProcessEnv = {}): Promise<Finished> {
  return startKeyferry(args, folder, env).output;
}

interface ProgressEventData {
  readonly counts: { readonly written: number };
}

/** Waits until the event stream in a file holds an event of this type that satisfies `holds`; vitest's timeout ends it. */
export async function waitForEvent(
  file: string,
  type: string,
  holds: (data: ProgressEventData) => boolean,
): Promise<void> {
  for (;;) {
    const lines = (await readFile(file, 'utf8').catch(() => '')).split('\n').slice(0, -1);
    for (const line of lines) {
      const event = JSON.parse(line) as { readonly type: string; readonly data: ProgressEventData };
      if (event.type === type && holds(event.data)) return;
    }
    await wait(5);
  }
}
