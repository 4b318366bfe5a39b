/**
 * A registry of 2.6 behind a real nginx and a real HAProxy, an empty one of 3.x, and the built binary in a folder whose
 * configuration names all of them.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import {
  clientRequests,
  fillRegistry,
  findJava,
  requireServer,
  seedRegistry,
  startApicurio,
  startHaproxy,
  startNginx,
  startRegistryLoad,
  type ApicurioOptions,
  type ApicurioServer,
  type LoadBalancer,
  type LoadBalancerPlace,
  type RegistryLoad,
} from '@keyferry/servers';
import { keyferry, startKeyferry, type Finished, type Running } from './run-keyferry.ts';

export interface RegistryStageOptions {
  /** Plain versions in 2.6 besides one of every kind. */
  readonly versions: number;
  readonly hazards?: boolean;
  /** Fields of the migration besides those that say where everything is. */
  readonly settings?: Readonly<Record<string, unknown>>;
}

export class RegistryStage {
  readonly folder: string;
  readonly old: ApicurioServer;
  readonly nginx: LoadBalancer;
  readonly haproxy: LoadBalancer;
  fresh: ApicurioServer;
  private readonly loads: RegistryLoad[] = [];
  /** What clients use; made once, as 2.6 itself is written to for it. */
  private seed: Awaited<ReturnType<typeof seedRegistry>> | null = null;

  private constructor(folder: string, servers: Pick<RegistryStage, 'old' | 'fresh' | 'nginx' | 'haproxy'>) {
    this.folder = folder;
    this.old = servers.old;
    this.fresh = servers.fresh;
    this.nginx = servers.nginx;
    this.haproxy = servers.haproxy;
  }

  static async create({ versions, hazards = false, settings = {} }: RegistryStageOptions): Promise<RegistryStage> {
    const folder = await mkdtemp(join(tmpdir(), 'keyferry-e2e-'));
    const [old, fresh] = await Promise.all([startOld(), startFresh({ dataDir: databaseIn(folder) })]);
    await fillRegistry(old.endpoint, { versions, hazards });
    const two = new URL(old.endpoint).host;
    const nginx = await startNginx({ files: (place) => ({ 'conf.d/registry.conf': nginxSite(place, two) }) });
    const haproxy = await startHaproxy({ files: (place) => ({ 'haproxy.cfg': haproxyConfig(place, two) }) });
    const stage = new RegistryStage(folder, { old, fresh, nginx, haproxy });
    await stage.configure(settings);
    return stage;
  }

  private get freshPort(): number {
    return Number(new URL(this.fresh.endpoint).port);
  }

  /** Of both kinds, as clients reach them. */
  get urls(): readonly string[] {
    return [this.nginx.endpoints[0] ?? '', this.haproxy.endpoints[0] ?? ''];
  }

  async configure(settings: Readonly<Record<string, unknown>>): Promise<void> {
    const { old, fresh, nginx, haproxy } = this;
    const v3 = { servers: [new URL(fresh.endpoint).host] };
    const here = (path: string): string => relative(this.folder, path);
    const config = {
      version: 1,
      stores: {
        old: { kind: 'apicurio-2', endpoints: [old.endpoint] },
        fresh: { kind: 'apicurio-3', endpoints: [fresh.endpoint] },
      },
      balancers: {
        edge: {
          kind: 'nginx',
          url: nginx.endpoints[0],
          program: nginx.command,
          reload: `${nginx.command} -s reload`,
          configFile: nginx.configFile,
          files: [join(nginx.configDirectory, 'conf.d/registry.conf')],
          directory: join(nginx.configDirectory, 'keyferry'),
          pidFile: nginx.pidFile,
          accessLogs: [join(nginx.directory, 'access.log')],
          v2: 'apicurio',
          v3,
        },
        inside: {
          kind: 'haproxy',
          url: haproxy.endpoints[0],
          // Beside the configuration, and not where HAProxy itself was started.
          program: here(haproxy.command),
          reload: `kill -USR2 "$(cat '${here(haproxy.pidFile)}')"`,
          configFile: here(haproxy.configFile),
          directory: here(join(haproxy.configDirectory, 'keyferry')),
          pidFile: here(haproxy.pidFile),
          socket: here(join(haproxy.configDirectory, 'admin.sock')),
          v2: 'apicurio',
          v3,
        },
      },
      migrations: {
        registry: {
          strategy: 'parallel',
          source: { store: 'old' },
          target: { store: 'fresh' },
          balancers: ['edge', 'inside'],
          soak: { length: '2s', every: '500ms', errorShareMax: 0.05 },
          ...settings,
        },
      },
    };
    await writeFile(join(this.folder, 'keyferry.yaml'), JSON.stringify(config, null, 2));
  }

  /** The first 3.x, with what it held when it was stopped. */
  async startFreshAgain(): Promise<void> {
    this.fresh = await startFresh({ port: this.freshPort, dataDir: databaseIn(this.folder) });
  }

  /** An empty one in the place of one that was written to. */
  async renewFresh(): Promise<void> {
    await this.fresh.stop();
    this.fresh = await startFresh({ port: this.freshPort });
  }

  /** Flags of `rehearse`: the very programs that this stage runs on, and a Java that starts as quickly as theirs. */
  async distributions(): Promise<readonly string[]> {
    const [two, three] = await Promise.all([requireServer('apicurio-2.6'), requireServer('apicurio-3.3')]);
    const java = join(this.folder, 'java');
    const options = '-XX:+UseSerialGC -XX:TieredStopAtLevel=1 -Xmx512m';
    await writeFile(java, `#!/bin/sh\nexec '${findJava(21) ?? 'java'}' ${options} "$@"\n`, { mode: 0o755 });
    return ['--v2', two.programDirectory, '--v3', three.programDirectory, '--java', java];
  }

  run(...args: readonly string[]): Promise<Finished> {
    return keyferry(args, this.folder);
  }

  start(...args: readonly string[]): Running {
    return startKeyferry(args, this.folder);
  }

  /** Clients of 2.6, through both balancers, until they are stopped. */
  async startClients(): Promise<readonly RegistryLoad[]> {
    const seed = (this.seed ??= await seedRegistry(this.old.endpoint, 'default', 'used-by-clients'));
    const started = this.urls.map((url) =>
      startRegistryLoad({ url, requests: clientRequests(seed), kept: 1, fresh: 1 }),
    );
    this.loads.push(...started);
    return started;
  }

  async close(): Promise<void> {
    await Promise.all(this.loads.map((load) => load.stop()));
    await Promise.all([this.nginx.stop(), this.haproxy.stop(), this.old.stop(), this.fresh.stop()]);
    await rm(this.folder, { recursive: true, force: true });
  }
}

const startOld = (): Promise<ApicurioServer> =>
  startApicurio({
    version: '2.6',
    properties: {
      'registry.rest.artifact.deletion.enabled': 'true',
      'registry.auth.role-source': 'application',
      'registry.auth.role-based-authorization': 'true',
    },
  });

const databaseIn = (folder: string): string => join(folder, 'database-3');

const startFresh = (where: Pick<ApicurioOptions, 'port' | 'dataDir'>): Promise<ApicurioServer> =>
  startApicurio({
    version: '3.3',
    ...where,
    properties: {
      'apicurio.import.zip.max-entry-count': '40000',
      'apicurio.auth.role-source': 'application',
      'apicurio.auth.role-based-authorization': 'true',
    },
  });

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

function haproxyConfig({ ports, configDirectory }: LoadBalancerPlace, two: string): string {
  return `global
    stats socket ${join(configDirectory, 'admin.sock')} mode 600 level admin expose-fd listeners
defaults
    mode http
    timeout connect 5s
    timeout client 30s
    timeout server 60s
frontend web
    bind 127.0.0.1:${ports[0]}
    default_backend apicurio
backend apicurio
    server a ${two} maxconn 200
`;
}
