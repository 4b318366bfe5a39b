/** Runs a Node program to its end, and says how long it took and what it used. */
import { spawn } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ChildOptions, Measured } from '../children/measured.ts';

export interface NodeRun {
  readonly wallMs: number;
  readonly cpuSeconds: number;
  readonly peakMiB: number;
  readonly stdout: string;
}

const preload = new URL('report-usage.mjs', import.meta.url).href;

/** @throws when it ends with another code than is wanted: a benchmark of a failure measures nothing. */
export async function runNode(args: readonly string[], cwd?: string, wanted = 0): Promise<NodeRun> {
  const folder = await mkdtemp(join(tmpdir(), 'keyferry-bench-usage-'));
  const usageFile = join(folder, 'usage.json');
  try {
    const startedAt = performance.now();
    const { code, stdout, stderr } = await finished(['--import', preload, ...args], cwd, usageFile);
    const wallMs = performance.now() - startedAt;
    if (code !== wanted) throw new Error(`node ${args.join(' ')} ended with ${code}\n${stdout}${stderr}`);
    const usage = JSON.parse(await readFile(usageFile, 'utf8')) as { cpuSeconds: number; peakKiB: number };
    return { wallMs, cpuSeconds: usage.cpuSeconds, peakMiB: usage.peakKiB / 1024, stdout };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** A script of children/, which prints one JSON document about itself. */
export async function runChild(
  script: string,
  options: Partial<ChildOptions>,
): Promise<Measured & Pick<NodeRun, 'peakMiB'>> {
  const file = new URL(`../children/${script}.ts`, import.meta.url).pathname;
  const { stdout, peakMiB } = await runNode([file, JSON.stringify(options)]);
  return { ...(JSON.parse(stdout) as Measured), peakMiB };
}

function finished(args: readonly string[], cwd: string | undefined, usageFile: string) {
  return new Promise<{ code: number | null; stdout: string; stderr: string }>((resolve, reject) => {
    const env = { ...process.env, KEYFERRY_BENCH_USAGE: usageFile };
    const child = spawn(process.execPath, args, { cwd, env, stdio: ['ignore', 'pipe', 'pipe'] });
    let stdout = '';
    let stderr = '';
    child.stdout.on('data', (piece: Buffer) => (stdout += piece.toString('utf8')));
    child.stderr.on('data', (piece: Buffer) => (stderr += piece.toString('utf8')));
    child.once('error', reject);
    child.once('close', (code) => resolve({ code, stdout, stderr }));
  });
}
