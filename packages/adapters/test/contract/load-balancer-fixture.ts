/**
 * A real load balancer of either kind before two servers that say which of them answered, and the adapter that is told of
 * it. The configurations are of the kind that stands in production: a named group, headers of its own, another service on
 * another path, a comment with an odd sign.
 */
import { createServer, request as httpRequest, type IncomingHttpHeaders, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import type { LoadBalancer as Port, TrafficPhase } from '@keyferry/core';
import { startHaproxy, startNginx, type LoadBalancer, type LoadBalancerPlace } from '@keyferry/servers';
import { openLoadBalancer, type LoadBalancerConfig } from '../../src/load-balancer/index.ts';

export type BalancerKind = 'nginx' | 'haproxy';
export const stay: AbortSignal = new AbortController().signal;

/** A registry, as far as a balancer can tell: answers with its name, and remembers what could write. */
export interface Side {
  readonly name: string;
  readonly address: string;
  /** Requests that reached it, "METHOD target", newest last. */
  readonly seen: readonly string[];
  close(): Promise<void>;
}

/** Releases an answer that waits: POST …/slow is answered only then. */
export interface SlowSide extends Side {
  readonly release: () => void;
  /** Slow requests that have arrived. */
  readonly waiting: () => number;
}

export async function startSide(name: string): Promise<SlowSide> {
  const seen: string[] = [];
  const held: (() => void)[] = [];
  const server = createServer((request, response) => {
    request.resume();
    request.once('end', () => {
      seen.push(`${request.method} ${request.url}`);
      const answer = (): void => {
        response.writeHead(request.method === 'DELETE' ? 404 : 200, { 'content-type': 'application/json' });
        response.end(JSON.stringify({ version: name }));
      };
      if (request.url?.endsWith('/slow') === true) held.push(answer);
      else answer();
    });
  });
  await listen(server);
  const address = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  const close = async (): Promise<void> => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  };
  return {
    name,
    address,
    seen,
    close,
    release: () => held.splice(0).forEach((answer) => answer()),
    waiting: () => held.length,
  };
}

async function listen(server: Server): Promise<void> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
}

export interface Stage {
  readonly kind: BalancerKind;
  readonly two: SlowSide;
  readonly three: SlowSide;
  readonly server: LoadBalancer;
  readonly balancer: Port;
  /** The adopted file. */
  readonly file: string;
  readonly config: LoadBalancerConfig;
  close(): Promise<void>;
}

/** @param changes to what the adapter is told */
export async function startStage(
  kind: BalancerKind,
  changes: (stage: Omit<Stage, 'balancer' | 'close'>) => Partial<LoadBalancerConfig> = () => ({}),
  addresses?: { readonly two: string; readonly three: string },
): Promise<Stage> {
  const two = await startSide('2.6.13');
  const three = await startSide('3.3.3');
  const at = addresses ?? { two: two.address, three: three.address };
  const server = await (kind === 'nginx'
    ? startNginx({ ports: 2, files: (place) => ({ 'conf.d/registry.conf': nginxSite(place, at.two) }) })
    : startHaproxy({ ports: 2, files: (place) => ({ 'haproxy.cfg': haproxyConfig(place, at.two) }) }));
  const file = kind === 'nginx' ? join(server.configDirectory, 'conf.d/registry.conf') : server.configFile;
  const told: LoadBalancerConfig = {
    kind,
    url: server.endpoints[0] ?? '',
    listeners: server.endpoints.slice(1),
    direct: [],
    caFile: null,
    access: null,
    program: server.command,
    reload: kind === 'nginx' ? `${server.command} -s reload` : `kill -USR2 ${server.pid}`,
    configFile: server.configFile,
    files: [file],
    directory: join(server.configDirectory, 'keyferry'),
    pidFile: server.pidFile,
    socket: kind === 'nginx' ? null : join(server.configDirectory, 'admin.sock'),
    v2: 'apicurio',
    v3: { servers: [at.three], options: null },
    generate: null,
    accessLogs: [kind === 'nginx' ? join(server.directory, 'access.log') : server.logFile],
    timeoutMs: 20_000,
  };
  const config = { ...told, ...changes({ kind, two, three, server, file, config: told }) };
  const balancer = openLoadBalancer('lb-1', config);
  const close = async (): Promise<void> => {
    await balancer.close();
    two.release();
    await server.stop();
    await Promise.all([two.close(), three.close()]);
  };
  return { kind, two, three, server, balancer, file, config, close };
}

function nginxSite({ ports }: LoadBalancerPlace, two: string): string {
  return `# the registry's site; {braces} and a ; in a comment
upstream apicurio {
    least_conn;
    server ${two} max_fails=0;
    keepalive 8;
}

server {
    listen 127.0.0.1:${ports[0]};
    listen 127.0.0.1:${ports[1]};
    add_header X-Site "registry; {v2}" always;

    location / {
        proxy_http_version 1.1;
        proxy_set_header Connection "";
        proxy_set_header Host $http_host;
        proxy_pass http://apicurio;
    }

    location /elsewhere { return 200 "another service"; }
}
`;
}

function haproxyConfig({ ports, configDirectory }: LoadBalancerPlace, two: string): string {
  return `# the registry's balancer
global
    stats socket ${join(configDirectory, 'admin.sock')} mode 600 level admin expose-fd listeners
    log stdout format raw local0

defaults
    mode http
    log global
    option httplog
    timeout connect 5s
    timeout client 30s
    timeout server 60s

frontend web
    bind 127.0.0.1:${ports[0]}
    acl elsewhere path_beg /elsewhere
    use_backend other if elsewhere
    default_backend apicurio

frontend inside # a second way in
    bind 127.0.0.1:${ports[1]}
    use_backend other if { path_beg /elsewhere }
    use_backend apicurio if { path_beg /apis } || { path / }

backend other
    http-request return status 200 content-type text/plain string "another service"

backend apicurio
    balance leastconn
    option redispatch
    server a ${two} maxconn 200
`;
}

export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

/** The target goes out as it is written: nothing is decoded or cleaned. */
export async function ask(
  url: string,
  method: string,
  target: string,
  body?: string,
  headers: Readonly<Record<string, string>> = {},
): Promise<Answer> {
  const { hostname, port } = new URL(url);
  return await new Promise((resolve, reject) => {
    const request = httpRequest({ hostname, port, method, path: target, headers, agent: false }, (response) => {
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (chunk: string) => (text += chunk));
      response.once('end', () => resolve({ status: response.statusCode ?? 0, headers: response.headers, body: text }));
    });
    request.once('error', reject);
    request.end(body);
  });
}

/** Takes the balancer over from what is there. */
export async function adopt({ balancer }: Stage): Promise<Awaited<ReturnType<Port['readOrigin']>>> {
  const origin = await balancer.readOrigin();
  await balancer.adopt(origin, stay);
  return origin;
}

/** Shift and proof, as the engine does both. */
export async function lead({ balancer }: Stage, phase: TrafficPhase): Promise<void> {
  await balancer.shift(phase, stay);
  const { drained, left } = await balancer.awaitDrained(60_000, stay);
  if (!drained) throw new TypeError(`not drained: ${left}`);
}

/** Sends the head alone; `admitted` once a server, or the balancer for it, has asked for the body. */
export function begin(
  url: string,
  method: string,
  target: string,
  body: string,
): { readonly admitted: Promise<void>; readonly finish: () => Promise<{ readonly status: number }> } {
  const { hostname, port } = new URL(url);
  const headers = { 'content-length': String(body.length), expect: '100-continue' };
  const request = httpRequest({ hostname, port, method, path: target, headers, agent: false });
  const answered = new Promise<{ readonly status: number }>((resolve, reject) => {
    request.once('response', (response) => {
      response.resume();
      response.once('end', () => resolve({ status: response.statusCode ?? 0 }));
    });
    request.once('error', reject);
  });
  const admitted = new Promise<void>((resolve) => void request.once('continue', resolve));
  request.flushHeaders();
  return {
    admitted,
    finish: async () => {
      request.end(body);
      return await answered;
    },
  };
}
