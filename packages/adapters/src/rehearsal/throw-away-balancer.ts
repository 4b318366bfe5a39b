/**
 * A load balancer of the same kind as the migration's, on 127.0.0.1 before the throw-away 2.x: with a generated configuration, which
 * the rehearsal then adopts, leads and restores like the real one.
 */
import { mkdir, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import type { StopSignal } from '@keyferry/core';
import type { BalancerConfig } from '../config/parallel-config.ts';
import { generatedConfig, generatedSite } from '../load-balancer/index.ts';
import { freePorts, ThrowAwayProcess } from './throw-away-process.ts';

export interface BalancerPlace {
  readonly name: string;
  readonly kind: 'nginx' | 'haproxy';
  /** On this machine. */
  readonly program: string;
  /** Its own, and there. */
  readonly directory: string;
  readonly v2: string;
  readonly v3: string;
}

export interface ThrowAwayBalancer {
  readonly config: BalancerConfig;
  stop(): Promise<void>;
}

const upstream = 'registry';
const startMaxMs = 60_000;

/** @throws {KeyferryError} `rehearsal.server-failed` */
export async function openThrowAwayBalancer(place: BalancerPlace, signal: StopSignal): Promise<ThrowAwayBalancer> {
  const { kind, program, directory } = place;
  const [port = 0] = await freePorts(1);
  const layout = kind === 'nginx' ? nginxLayout(place, port) : haproxyLayout(place, port);
  for (const [path, text] of layout.files) await writeFile(path, text, { mode: 0o600 });
  const running = new ThrowAwayProcess(`${kind} (${program})`, directory, [program, ...layout.words]);
  const config: BalancerConfig = {
    kind,
    url: `http://127.0.0.1:${port}`,
    listeners: [],
    direct: [],
    ca: null,
    access: null,
    program,
    reload: `kill -${layout.reloadSignal} "$(cat '${layout.pidFile}')"`,
    configFile: layout.configFile,
    files: layout.adopted,
    directory: join(directory, 'keyferry'),
    pidFile: layout.pidFile,
    socket: layout.socket,
    v2: upstream,
    v3: { servers: [new URL(place.v3).host], options: null },
    generate: null,
    accessLogs: [],
    timeoutMs: startMaxMs,
  };
  try {
    await mkdir(config.directory, { recursive: true });
    await running.untilReady(() => accepts(port), startMaxMs, signal);
  } catch (error) {
    await running.stop();
    throw error;
  }
  return { config, stop: () => running.stop() };
}

interface Layout {
  readonly words: readonly string[];
  readonly files: ReadonlyMap<string, string>;
  readonly configFile: string;
  readonly adopted: readonly string[];
  readonly pidFile: string;
  readonly socket: string | null;
  readonly reloadSignal: 'HUP' | 'USR2';
}

function nginxLayout({ directory, v2 }: BalancerPlace, port: number): Layout {
  const configFile = join(directory, 'nginx.conf');
  const site = join(directory, 'registry.conf');
  const pidFile = join(directory, 'nginx.pid');
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'];
  const main = [
    // Workers of root would be of a user who cannot enter this directory.
    ...(process.getuid?.() === 0 ? ['user root root;'] : []),
    'worker_processes 2;',
    `pid ${pidFile};`,
    `error_log ${join(directory, 'error.log')};`,
    'events { worker_connections 512; }',
    'http {',
    ...temporary.map((name) => `    ${name}_temp_path ${join(directory, name)};`),
    '    access_log off;',
    `    include ${site};`,
    '}',
    '',
  ].join('\n');
  return {
    words: ['-p', directory, '-c', configFile, '-g', 'daemon off;'],
    files: new Map([
      [configFile, main],
      [site, generatedSite(`127.0.0.1:${port}`, upstream, [new URL(v2).host])],
    ]),
    configFile,
    adopted: [site],
    pidFile,
    socket: null,
    reloadSignal: 'HUP',
  };
}

function haproxyLayout({ directory, v2 }: BalancerPlace, port: number): Layout {
  const configFile = join(directory, 'haproxy.cfg');
  const pidFile = join(directory, 'haproxy.pid');
  const socket = join(directory, 'admin.sock');
  return {
    words: ['-W', '-db', '-p', pidFile, '-f', configFile],
    files: new Map([[configFile, generatedConfig(`127.0.0.1:${port}`, upstream, [new URL(v2).host], socket)]]),
    configFile,
    adopted: [],
    pidFile,
    socket,
    reloadSignal: 'USR2',
  };
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: '127.0.0.1', port });
    socket.once('connect', () => socket.end(() => resolve(true)));
    socket.once('error', () => resolve(false));
  });
}
