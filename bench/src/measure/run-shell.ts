/** Runs a peer's command line to its end in bash, whose own `time` says what it used. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

const run = promisify(execFile);

export interface ShellRun {
  readonly wallMs: number;
  readonly cpuSeconds: number;
}

/** @param command one simple command; what it prints to stderr must be nothing */
export async function runShell(command: string, cwd: string): Promise<ShellRun> {
  const { stderr } = await run('bash', ['-c', `TIMEFORMAT='%R %U %S'; time ${command}`], { cwd });
  const [real = Number.NaN, user = Number.NaN, system = Number.NaN] = stderr.trim().split(' ').map(Number);
  return { wallMs: real * 1000, cpuSeconds: user + system };
}
