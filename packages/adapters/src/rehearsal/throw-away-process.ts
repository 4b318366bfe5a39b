/**
 * A server of a rehearsal, on this machine: started in a directory of its own, ended with keyferry however that ends.
 *
 *     sh ──┬── the server                       ended: sh ends, with its exit code
 *          └── reads sh's stdin to its end      ended: keyferry closed it, or is gone, be it by SIGKILL: the server is ended
 *
 * Of the environment it gets what a program needs to run and nothing else: a variable that names production's database would
 * otherwise be obeyed.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';
import { setTimeout as wait } from 'node:timers/promises';
import { escapeControls, KeyferryError, type StopSignal } from '@keyferry/core';

const environmentKept = ['PATH', 'HOME', 'JAVA_HOME', 'LANG', 'TZ'];
const outputMax = 4000;
const pollMs = 200;

/** $0 is a name for `ps`. The server gets ten seconds to end by itself. */
const script = `exec 3<&0
"$@" </dev/null 3<&- &
server=$!
(cat >/dev/null; kill -TERM "$server"; sleep 10; kill -KILL "$server") <&3 3<&- >/dev/null 2>&1 &
watcher=$!
wait "$server"
code=$?
kill "$watcher" 2>/dev/null
exit "$code"`;

export class ThrowAwayProcess {
  private readonly server: string;
  private readonly child: ChildProcess;
  private readonly ended: Promise<unknown>;
  private output = '';
  private hasEnded = false;

  /** @param server for errors: `Apicurio Registry of /opt/registry` */
  constructor(server: string, directory: string, words: readonly string[]) {
    this.server = server;
    const env = Object.fromEntries(environmentKept.flatMap((name) => entryOf(name)));
    const stdio = ['pipe', 'pipe', 'pipe'] as const;
    const child = spawn('sh', ['-c', script, 'keyferry-rehearsal', ...words], {
      cwd: directory,
      env: { ...env, TMPDIR: directory },
      stdio: [...stdio],
    });
    this.child = child;
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text: string) => (this.output = (this.output + text).slice(-outputMax)));
    }
    child.stdin.on('error', () => undefined); // it ended by itself; its output says why
    child.on('error', ({ message }) => (this.output += message));
    this.ended = once(child, 'close').catch(() => undefined);
    void this.ended.then(() => (this.hasEnded = true));
  }

  /** @throws {KeyferryError} `rehearsal.server-failed` when it ended, or was not ready in time */
  async untilReady(isReady: () => Promise<boolean>, withinMs: number, signal: StopSignal): Promise<void> {
    const deadlineMs = performance.now() + withinMs;
    while (!(await isReady())) {
      if (signal.aborted) throw signal.reason;
      if (this.hasEnded) throw this.failure('it ended');
      if (performance.now() > deadlineMs) throw this.failure(`it was not ready within ${withinMs} ms`);
      await wait(pollMs);
    }
    // Whoever else answers on its port is not taken for it.
    if (this.hasEnded) throw this.failure('it ended');
  }

  /** Harmless to repeat. */
  async stop(): Promise<void> {
    this.child.stdin?.end();
    await this.ended;
  }

  private failure(what: string): KeyferryError {
    const lines = this.output.split('\n').filter((line) => line.trim() !== '' && !/^\s+at /.test(line));
    const said = escapeControls(lines.slice(-4).join(' / ')).slice(0, 600);
    return new KeyferryError('rehearsal.server-failed', {
      server: this.server,
      detail: said === '' ? what : `${what}; it said: ${said}`,
    });
  }
}

function entryOf(name: string): readonly (readonly [string, string])[] {
  const value = process.env[name];
  return value === undefined ? [] : [[name, value]];
}

/** Free ones of 127.0.0.1, all different. */
export async function freePorts(count: number): Promise<readonly number[]> {
  const servers = Array.from({ length: count }, () => createServer().listen(0, '127.0.0.1'));
  await Promise.all(servers.map((server) => once(server, 'listening')));
  const ports = servers.map((server) => (server.address() as AddressInfo).port);
  await Promise.all(servers.map((server) => once(server.close(), 'close')));
  return ports;
}
