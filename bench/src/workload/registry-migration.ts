/** A migration of strategy `parallel` by the built command line: a 2.6 behind a HAProxy and an nginx, and an empty 3.3 each time. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  startApicurio,
  startHaproxy,
  startNginx,
  type ApicurioServer,
  type LoadBalancer,
  type LoadBalancerPlace,
} from '@keyferry/servers';
import { runNode, type NodeRun } from '../measure/run-node.ts';
import { keyferryProgram } from './migration.ts';

/** A person is asked for. */
const waits = 4;

export interface FreezeFigures {
  readonly frozenMs: number;
  readonly estimatedFreezeMs: number;
  readonly freezeParts: readonly { readonly what: string; readonly measuredMs: number | null }[];
  readonly evidence: readonly { readonly phase: string; readonly name: string; readonly data: unknown }[];
}

export interface RegistryMigrationOptions {
  readonly bulk: boolean;
  /** Phases before which it stops. */
  readonly confirm: readonly ('freeze' | 'switch')[];
}

export class RegistryMigration {
  /** As clients reach them. */
  readonly urls: Readonly<Record<'haproxy' | 'nginx', string>>;
  private readonly folder: string;
  private readonly servers: readonly { stop(): Promise<void> }[];

  private constructor(folder: string, haproxy: LoadBalancer, nginx: LoadBalancer, fresh: ApicurioServer) {
    this.folder = folder;
    this.servers = [haproxy, nginx, fresh];
    this.urls = { haproxy: haproxy.endpoints[0] ?? '', nginx: nginx.endpoints[0] ?? '' };
  }

  static async create(old: ApicurioServer, { bulk, confirm }: RegistryMigrationOptions): Promise<RegistryMigration> {
    const fresh = await startFresh();
    const two = new URL(old.endpoint).host;
    const v3 = { servers: [new URL(fresh.endpoint).host] };
    const haproxy = await startHaproxy({ files: (place) => ({ 'haproxy.cfg': haproxyConfig(place, two) }) });
    const nginx = await startNginx({ files: (place) => ({ 'conf.d/registry.conf': nginxSite(place, two) }) });
    const folder = await mkdtemp(join(tmpdir(), 'keyferry-bench-'));
    const config = {
      version: 1,
      stores: {
        old: { kind: 'apicurio-2', endpoints: [old.endpoint] },
        fresh: { kind: 'apicurio-3', endpoints: [fresh.endpoint] },
      },
      balancers: {
        edge: {
          kind: 'haproxy',
          url: haproxy.endpoints[0],
          program: haproxy.command,
          reload: `kill -USR2 ${haproxy.pid}`,
          configFile: haproxy.configFile,
          directory: join(haproxy.configDirectory, 'keyferry'),
          pidFile: haproxy.pidFile,
          socket: join(haproxy.configDirectory, 'admin.sock'),
          v2: 'apicurio',
          v3,
        },
        inside: {
          kind: 'nginx',
          url: nginx.endpoints[0],
          program: nginx.command,
          reload: `${nginx.command} -s reload`,
          configFile: nginx.configFile,
          files: [join(nginx.configDirectory, 'conf.d/registry.conf')],
          directory: join(nginx.configDirectory, 'keyferry'),
          pidFile: nginx.pidFile,
          v2: 'apicurio',
          v3,
        },
      },
      migrations: {
        bench: {
          strategy: 'parallel',
          source: { store: 'old' },
          target: { store: 'fresh' },
          balancers: ['edge', 'inside'],
          confirm,
          freeze: { bulk, max: '2h' },
          // The limits of an import that a 3.3 has by default; these servers have others.
          losses: ['registry.archive-refused'],
          soak: { length: '1s', every: '500ms' },
        },
      },
    };
    await writeFile(join(folder, 'keyferry.yaml'), JSON.stringify(config));
    return new RegistryMigration(folder, haproxy, nginx, fresh);
  }

  plan(): Promise<NodeRun> {
    return this.keyferry(['plan', 'bench', '--out', 'bench.kfplan']);
  }

  /** Up to the next phase that a person has to confirm. */
  applyUntilAsked(confirmed?: 'freeze'): Promise<NodeRun> {
    return this.keyferry(['apply', 'bench.kfplan', ...confirmation(confirmed)], waits);
  }

  applyToTheEnd(confirmed: 'freeze' | 'switch'): Promise<NodeRun> {
    return this.keyferry(['apply', 'bench.kfplan', ...confirmation(confirmed)]);
  }

  async figures(): Promise<FreezeFigures> {
    const { stdout } = await this.keyferry(['report', 'bench', '--json']);
    return JSON.parse(stdout) as FreezeFigures;
  }

  /** 2.6 takes writes again. */
  goBack(): Promise<NodeRun> {
    return this.keyferry(['rollback', 'bench', '--yes']);
  }

  async remove(): Promise<void> {
    await Promise.all(this.servers.map((server) => server.stop()));
    await rm(this.folder, { recursive: true, force: true });
  }

  private keyferry(args: readonly string[], wanted = 0): Promise<NodeRun> {
    return runNode([keyferryProgram, ...args], this.folder, wanted);
  }
}

const confirmation = (phase: string | undefined): readonly string[] =>
  phase === undefined ? [] : ['--confirm-phase', phase];

export const startFresh = (): Promise<ApicurioServer> =>
  startApicurio({ version: '3.3', properties: { 'apicurio.import.zip.max-entry-count': '400000' } });

function haproxyConfig({ ports, configDirectory }: LoadBalancerPlace, two: string): string {
  return `global
    stats socket ${join(configDirectory, 'admin.sock')} mode 600 level admin expose-fd listeners
defaults
    mode http
    timeout connect 5s
    timeout client 30s
    timeout server 600s
frontend web
    bind 127.0.0.1:${ports[0]}
    default_backend apicurio
backend apicurio
    server a ${two} maxconn 200
`;
}

function nginxSite({ ports }: LoadBalancerPlace, two: string): string {
  return `upstream apicurio {
    server ${two} max_fails=0;
    keepalive 8;
}
server {
    listen 127.0.0.1:${ports[0]};
    location / {
        proxy_http_version 1.1;
        proxy_set_header Connection "";
        proxy_pass http://apicurio;
    }
}
`;
}
