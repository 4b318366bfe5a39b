/** Runs a program as it was installed, in a folder of its own: with nothing of this checkout, and no other Node, in reach. */
import { spawn } from 'node:child_process';
import { cp, mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export const root = join(import.meta.dirname, '../../..');
const example = join(root, 'examples/01-etcd-v2-file-to-sqlite');

export interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export type Program = (args: readonly string[], folder: string) => Promise<Ended>;

/** @param path the only folders that programs are found in; none: nothing is */
export function program(command: readonly string[], path = ''): Program {
  const [file = '', ...first] = command;
  return (args, folder) => {
    const child = spawn(file, [...first, ...args], {
      cwd: folder,
      env: { PATH: path, HOME: folder, NO_COLOR: '1' },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let [stdout, stderr] = ['', ''];
    child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString()));
    child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
    return new Promise((resolve, reject) => {
      child.on('error', reject);
      child.on('close', (code) => resolve({ code, stdout, stderr }));
    });
  };
}

export const emptyFolder = (): Promise<string> => mkdtemp(join(tmpdir(), 'keyferry-release-'));

/** The main job on embedded parts alone: example 01. */
export async function runExample(keyferry: Program, folder: string): Promise<readonly Ended[]> {
  for (const each of ['keyferry.yaml', 'input']) await cp(join(example, each), join(folder, each), { recursive: true });
  const ended: Ended[] = [];
  for (const args of [
    ['plan', 'config-to-sqlite', '--out', 'config.kfplan'],
    ['apply', 'config.kfplan'],
    ['verify', 'config-to-sqlite'],
  ]) {
    ended.push(await keyferry(args, folder));
  }
  return ended;
}
