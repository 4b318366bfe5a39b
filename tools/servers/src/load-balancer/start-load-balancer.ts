/**
 * Starts a real nginx or HAProxy in a directory of its own, with the configuration that the caller makes for that directory,
 * and ends it by its process id.
 *
 *     directory, `command` ──► configuration written ──► master in the foreground ──► answers on its port ──► stop()
 *
 * `command` is a script that runs the very program with its libraries, as an installed one would be run: what checks,
 * reloads and is told a process id in tests is what does so in production. Workers of root stay root here, because only
 * root may enter root's temporary directories.
 */
import { existsSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { join, resolve as absolutePath } from 'node:path';
import { requireServer } from '../availability.ts';
import { startChild, type Child } from '../process/child.ts';
import { freePorts } from '../process/free-ports.ts';
import { openLife, startInOwnDirectory, type OwnPlace } from '../process/server-life.ts';
import { startFailure } from '../process/start-failure.ts';
import { waitUntil } from '../process/wait-until.ts';
import type { ServerError } from '../server-error.ts';
import type { LoadBalancerKind } from './releases.ts';

/** Where a load balancer lives, for whoever writes its configuration. */
export interface LoadBalancerPlace {
  readonly directory: string;
  /** Free, on 127.0.0.1; as many as were asked for. */
  readonly ports: readonly number[];
  /** nginx: the `http` block includes `conf.d/*.conf` in here. HAProxy: sockets go here. */
  readonly configDirectory: string;
}

export interface LoadBalancerOptions {
  /** Ports that the configuration listens on. Default 1. */
  readonly ports?: number;
  /** Where it listens, when the caller names it; the first of the place's ports then. */
  readonly port?: number;
  /** Files by name, in the configuration directory. nginx: each `conf.d/NAME.conf`; HAProxy: `haproxy.cfg` at least. */
  readonly files: (place: LoadBalancerPlace) => Readonly<Record<string, string>>;
  /** nginx: workers. Default 2. */
  readonly workers?: number;
  /** Used and kept, and what is in its `etc` already stays as it is. Default: a temporary one, gone with the server. */
  readonly dataDir?: string;
  readonly detached?: boolean;
  /** Default 20 000. */
  readonly startTimeoutMs?: number;
}

export interface LoadBalancer extends LoadBalancerPlace {
  readonly kind: LoadBalancerKind;
  readonly id: string;
  /** `http://127.0.0.1:port`, one a port. */
  readonly endpoints: readonly string[];
  /** A program to run in the place of `nginx` and `haproxy`. */
  readonly command: string;
  /** Main configuration file. */
  readonly configFile: string;
  readonly pidFile: string;
  readonly logFile: string;
  /** Of the master. */
  readonly pid: number;
  stop(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

/**
 * @example
 * await using nginx = await startNginx({ files: ({ ports }) => ({ 'conf.d/a.conf': `server { listen 127.0.0.1:${ports[0]}; }` }) });
 * @throws {ServerError} `server.unavailable`, `server.start-failed`, `server.port-taken`
 */
export async function startNginx(options: LoadBalancerOptions): Promise<LoadBalancer> {
  return await start('nginx-1.22', options);
}

/** As master and worker; the master listens on `master.sock` in the configuration directory. */
export async function startHaproxy(options: LoadBalancerOptions): Promise<LoadBalancer> {
  return await start('haproxy-2.6', options);
}

async function start(kind: LoadBalancerKind, options: LoadBalancerOptions): Promise<LoadBalancer> {
  const { programDirectory } = await requireServer(kind);
  return await startInOwnDirectory(kind, options.port, (place) => startOnce(kind, programDirectory, place, options));
}

async function startOnce(
  kind: LoadBalancerKind,
  programs: string,
  own: OwnPlace,
  options: LoadBalancerOptions,
): Promise<LoadBalancer> {
  const directory = options.dataDir === undefined ? own.directory : absolutePath(options.dataDir);
  const { detached = false, startTimeoutMs = 20_000 } = options;
  const free = await freePorts(options.ports ?? 1);
  const ports = options.port === undefined ? free : [options.port, ...free.slice(1)];
  const configDirectory = join(directory, 'etc');
  const place: LoadBalancerPlace = { directory, ports, configDirectory };
  const layout = kind === 'nginx-1.22' ? nginxLayout(place, options.workers ?? 2) : haproxyLayout(place);
  await writeFiles(configDirectory, { ...layout.files, ...options.files(place) }, options.dataDir !== undefined);
  const command = join(directory, kind === 'nginx-1.22' ? 'nginx' : 'haproxy');
  await writeFile(command, wrapper(programs, layout), { mode: 0o755 });
  const logFile = join(directory, 'server.log');
  const endpoints = ports.map((port) => `http://127.0.0.1:${port}`);
  let child: Child | undefined;
  const life = openLife({
    place: own,
    detached,
    killNow: () => child?.signal('SIGTERM'), // SIGKILL would leave the workers, whose parent is the master and not this process
    end: async () => await child?.end(10_000),
  });
  let pid = 0;
  await life.begin(async () => {
    child = await startChild({ program: command, args: layout.arguments, logFile, detached });
    pid = child.pid;
    life.note(endpoints, [pid]);
    await untilListening(child, ports, logFile, startTimeoutMs);
  });
  const { id, stop } = life;
  const { pidFile, configFile } = layout;
  const files = { command, configFile, pidFile, logFile };
  return { kind, id, ...place, ...files, endpoints, pid, stop, [Symbol.asyncDispose]: stop };
}

interface Layout {
  readonly program: 'nginx' | 'haproxy';
  readonly configFile: string;
  readonly pidFile: string;
  /** Of the process that serves. */
  readonly arguments: readonly string[];
  /** Before the arguments of whoever calls `command`. */
  readonly always: readonly string[];
  readonly files: Readonly<Record<string, string>>;
}

function nginxLayout({ directory, configDirectory }: LoadBalancerPlace, workers: number): Layout {
  const configFile = join(configDirectory, 'nginx.conf');
  const pidFile = join(directory, 'nginx.pid');
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'];
  const main = [
    ...(process.getuid?.() === 0 ? ['user root root;'] : []),
    `worker_processes ${workers};`,
    `pid ${pidFile};`,
    'events { worker_connections 512; }',
    'http {',
    ...temporary.map((name) => `    ${name}_temp_path ${join(directory, name)};`),
    `    access_log ${join(directory, 'access.log')} combined;`,
    `    include ${configDirectory}/conf.d/*.conf;`,
    '}',
    '',
  ].join('\n');
  return {
    program: 'nginx',
    configFile,
    pidFile,
    arguments: ['-g', 'daemon off;'],
    always: ['-e', join(directory, 'error.log'), '-p', directory, '-c', configFile],
    files: { 'nginx.conf': main },
  };
}

function haproxyLayout({ directory, configDirectory }: LoadBalancerPlace): Layout {
  const configFile = join(configDirectory, 'haproxy.cfg');
  const pidFile = join(directory, 'haproxy.pid');
  const master = join(configDirectory, 'master.sock');
  return {
    program: 'haproxy',
    configFile,
    pidFile,
    arguments: ['-W', '-db', '-S', master, '-p', pidFile, '-f', configFile],
    always: [],
    files: {},
  };
}

function wrapper(programs: string, { program, always }: Layout): string {
  const libraries = join(programs, '..', 'lib', process.arch === 'arm64' ? 'aarch64-linux-gnu' : 'x86_64-linux-gnu');
  const words = [join(programs, program), ...always].map((word) => `'${word}'`).join(' ');
  return `#!/bin/sh\nexport LD_LIBRARY_PATH='${libraries}'\nexec ${words} "$@"\n`;
}

async function writeFiles(
  configDirectory: string,
  files: Readonly<Record<string, string>>,
  keepsOlder: boolean,
): Promise<void> {
  await mkdir(join(configDirectory, 'conf.d'), { recursive: true });
  for (const [name, text] of Object.entries(files)) {
    const path = join(configDirectory, name);
    if (!keepsOlder || !existsSync(path)) await writeFile(path, text);
  }
}

async function untilListening(
  child: Child,
  ports: readonly number[],
  logFile: string,
  timeoutMs: number,
): Promise<void> {
  const listening = await waitUntil(async () => {
    if (child.hasEnded()) throw failure(logFile, 'its process has ended');
    return (await Promise.all(ports.map(accepts))).every(Boolean);
  }, timeoutMs);
  if (!listening) throw failure(logFile, `it did not listen within ${timeoutMs} ms`);
  if (child.hasEnded()) throw failure(logFile, 'its process has ended');
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: '127.0.0.1', port });
    socket.once('connect', () => socket.end(() => resolve(true)));
    socket.once('error', () => resolve(false));
  });
}

function failure(logFile: string, why: string): ServerError {
  return startFailure({
    server: 'The load balancer',
    why,
    logFile,
    takenPort: /address already in use|cannot bind socket/i,
  });
}
