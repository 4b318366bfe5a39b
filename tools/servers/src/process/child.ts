/**
 * One server process: started with its output in a file, watched for its end, ended by its process id.
 *
 * On Linux the child is started through setpriv(1), which asks the kernel to kill it when the thread that started it
 * ends. That covers the one case no handler in this process can: being killed with SIGKILL, as test runners do to a
 * worker that hangs. setpriv replaces itself by the server, so the process id is the server's own.
 */
import { spawn, spawnSync } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { ServerError } from '../server-error.ts';
import { waitUntil } from './wait-until.ts';

export interface ChildOptions {
  readonly program: string;
  readonly args: readonly string[];
  readonly environment?: NodeJS.ProcessEnv;
  /** Receives standard output and error; appended to, so that a restart keeps what led to it. */
  readonly logFile: string;
  /** Outlives this process, in its own session, out of reach of the terminal's Ctrl-C. */
  readonly detached: boolean;
  /** The server runs as this user instead of this process's; only root may ask for it. */
  readonly user?: UnprivilegedUser | undefined;
}

/** By number, as setpriv(1) takes it without asking any directory of users. */
export interface UnprivilegedUser {
  readonly uid: number;
  readonly gid: number;
}

export interface Child {
  readonly pid: number;
  hasEnded(): boolean;
  signal(signal: NodeJS.Signals): void;
  /** SIGTERM, or SIGKILL at once with `graceMs` 0; SIGKILL after the grace. Resolves when the process is gone. */
  end(graceMs: number): Promise<void>;
}

export async function startChild(options: ChildOptions): Promise<Child> {
  const log = openSync(options.logFile, 'a');
  try {
    const [program, args] = throughSetpriv(options);
    const child = spawn(program, args, {
      stdio: ['ignore', log, log],
      detached: options.detached,
      env: options.environment ?? process.env,
    });
    let ended = false;
    child.once('exit', () => (ended = true));
    await new Promise<void>((resolve, reject) => {
      child.once('spawn', resolve);
      child.once('error', (error) => reject(spawnFailure(options.program, error)));
    });
    if (options.detached) child.unref();
    const pid = child.pid ?? 0;
    const hasEnded = (): boolean => ended;
    const signal = (name: NodeJS.Signals): void => void child.kill(name);
    return { pid, hasEnded, signal, end: (graceMs) => endChild({ pid, hasEnded, signal }, graceMs) };
  } finally {
    closeSync(log);
  }
}

async function endChild(child: Pick<Child, 'pid' | 'hasEnded' | 'signal'>, graceMs: number): Promise<void> {
  if (child.hasEnded()) return;
  if (graceMs > 0) {
    child.signal('SIGTERM');
    child.signal('SIGCONT'); // a stopped process sees the SIGTERM only once it runs again
    if (await waitUntil(child.hasEnded, graceMs, 5)) return;
  }
  child.signal('SIGKILL');
  if (await waitUntil(child.hasEnded, 10_000, 5)) return;
  const remedy = 'It is probably stuck in the kernel, waiting for a disk; look at its state with ps.';
  throw new ServerError('server.command-failed', `Process ${child.pid} does not end, even after SIGKILL.`, remedy);
}

/** The end of a log file, for messages about a server that did not start. */
export function lastLines(logFile: string, count: number): string {
  const lines = readFileSync(logFile, 'utf8').trimEnd().split('\n');
  return lines.slice(-count).join('\n');
}

let setprivTies: boolean | undefined;

function throughSetpriv({ program, args, detached, user }: ChildOptions): readonly [string, readonly string[]] {
  const tie = ['--pdeathsig', 'KILL'];
  setprivTies ??= process.platform === 'linux' && spawnSync('setpriv', [...tie, '--', 'true']).status === 0;
  const options = [...(user === undefined ? [] : asUser(user)), ...(!detached && setprivTies ? tie : [])];
  return options.length === 0 ? [program, args] : ['setpriv', [...options, '--', program, ...args]];
}

/** What makes setpriv(1) give up being root, for good. */
export function asUser({ uid, gid }: UnprivilegedUser): readonly string[] {
  return ['--reuid', String(uid), '--regid', String(gid), '--clear-groups', '--no-new-privs'];
}

function spawnFailure(program: string, cause: Error): ServerError {
  const remedy = 'See that the file is executable and built for this machine.';
  return new ServerError('server.start-failed', `${program} could not be started: ${cause.message}`, remedy, cause);
}
