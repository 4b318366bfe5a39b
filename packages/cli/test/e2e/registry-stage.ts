/**
 * A registry of 2.6 behind a real nginx and a real HAProxy, an empty one of 3.x, and the built binary in a folder whose
 * configuration names all of them.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import {
  balancerFields,
  clientRequests,
  fillRegistry,
  findJava,
  requireServer,
  seedRegistry,
  startApicurio,
  startRegistryBalancers,
  startRegistryLoad,
  type ApicurioOptions,
  type ApicurioServer,
  type LoadBalancer,
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
    const { nginx, haproxy } = await startRegistryBalancers(old.endpoint);
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
    const { nginx: edge, haproxy: inside } = balancerFields({ nginx, haproxy }, fresh.endpoint);
    // Beside the configuration, and not where HAProxy itself was started.
    const beside = (path: string): string => relative(this.folder, path);
    const paths = {
      program: beside(inside.program),
      configFile: beside(inside.configFile),
      directory: beside(inside.directory),
      pidFile: beside(inside.pidFile),
      socket: beside(inside.socket),
      reload: `kill -USR2 "$(cat '${beside(inside.pidFile)}')"`,
    };
    const config = {
      version: 1,
      stores: {
        old: { kind: 'apicurio-2', endpoints: [old.endpoint] },
        fresh: { kind: 'apicurio-3', endpoints: [fresh.endpoint] },
      },
      balancers: { edge, inside: { ...inside, ...paths } },
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
