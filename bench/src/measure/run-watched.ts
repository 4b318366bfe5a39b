/** Runs a peer's program to its end, and looks after its peak memory while it lives: the kernel only lets it grow. */
import { spawn } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { cpuSecondsOf, peakMiBOf } from './process-usage.ts';

export interface WatchedRun {
  readonly wallMs: number;
  /** As of the last look, a few milliseconds before its end. */
  readonly cpuSeconds: number;
  readonly peakMiB: number;
}

const lookEveryMs = 10;

/** @throws when it ends with another code than 0 */
export async function runWatched(
  program: string,
  args: readonly string[],
  env: Readonly<Record<string, string>>,
): Promise<WatchedRun> {
  const startedAt = performance.now();
  const child = spawn(program, args, { env: { ...process.env, ...env }, stdio: 'ignore' });
  const { pid } = child;
  if (pid === undefined) throw new Error(`${program} did not start`);
  const ended = new Promise<{ readonly code: number | null; readonly atMs: number }>((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', (code) => resolve({ code, atMs: performance.now() }));
  });
  let [cpuSeconds, peakMiB] = [0, 0];
  while (child.exitCode === null && child.signalCode === null) {
    // Nothing is told of one that has just ended.
    cpuSeconds = Math.max(cpuSeconds, cpuSecondsOf(pid));
    peakMiB = Math.max(peakMiB, peakMiBOf(pid));
    await sleep(lookEveryMs);
  }
  const { code, atMs } = await ended;
  if (code !== 0) throw new Error(`${program} ended with ${String(code)}`);
  return { wallMs: atMs - startedAt, cpuSeconds, peakMiB };
}
