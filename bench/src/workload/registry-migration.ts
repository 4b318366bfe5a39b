/** A migration of strategy `parallel` by the built command line: a 2.6 behind a HAProxy, and an empty 3.3 for each way that is tried. */
import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import {
  startApicurio,
  startHaproxy,
  type ApicurioServer,
  type LoadBalancer,
  type LoadBalancerPlace,
} from '@keyferry/servers';
import { keyferryProgram } from './migration.ts';

const run = promisify(execFile);

/** A person is asked for. */
const waits = 4;

export interface FreezeFigures {
  readonly frozenMs: number;
  readonly estimatedFreezeMs: number;
  readonly freezeParts: readonly { readonly what: string; readonly measuredMs: number | null }[];
  readonly evidence: readonly { readonly phase: string; readonly name: string }[];
}

export class RegistryMigration {
  private readonly folder: string;
  private readonly haproxy: LoadBalancer;
  private readonly fresh: ApicurioServer;

  private constructor(folder: string, haproxy: LoadBalancer, fresh: ApicurioServer) {
    this.folder = folder;
    this.haproxy = haproxy;
    this.fresh = fresh;
  }

  static async create(old: ApicurioServer, bulk: boolean): Promise<RegistryMigration> {
    const fresh = await startFresh();
    const two = new URL(old.endpoint).host;
    const haproxy = await startHaproxy({ files: (place) => ({ 'haproxy.cfg': haproxyConfig(place, two) }) });
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
          v3: { servers: [new URL(fresh.endpoint).host] },
        },
      },
      migrations: {
        bench: {
          strategy: 'parallel',
          source: { store: 'old' },
          target: { store: 'fresh' },
          balancers: ['edge'],
          confirm: ['freeze'],
          freeze: { bulk, max: '2h' },
          // The limits of an import that a 3.3 has by default; these servers have others.
          losses: ['registry.archive-refused'],
          soak: { length: '1s', every: '500ms' },
        },
      },
    };
    await writeFile(join(folder, 'keyferry.yaml'), JSON.stringify(config));
    return new RegistryMigration(folder, haproxy, fresh);
  }

  /** Up to the freeze, which a person has to confirm. */
  async untilFreeze(): Promise<void> {
    await this.keyferry(['plan', 'bench', '--out', 'bench.kfplan'], 0);
    await this.keyferry(['apply', 'bench.kfplan'], waits);
  }

  async freeze(): Promise<FreezeFigures> {
    await this.keyferry(['apply', 'bench.kfplan', '--confirm-phase', 'freeze'], 0);
    return JSON.parse(await this.keyferry(['status', 'bench', '--json'], 0)) as FreezeFigures;
  }

  /** 2.6 takes writes again. */
  async goBack(): Promise<void> {
    await this.keyferry(['rollback', 'bench', '--yes'], 0);
  }

  async remove(): Promise<void> {
    await Promise.all([this.haproxy.stop(), this.fresh.stop()]);
    await rm(this.folder, { recursive: true, force: true });
  }

  private async keyferry(args: readonly string[], wanted: number): Promise<string> {
    const options = { cwd: this.folder, maxBuffer: 64 * 1024 * 1024 };
    const ended = await run(process.execPath, [keyferryProgram, ...args], options).then(
      ({ stdout, stderr }) => ({ code: 0, stdout, stderr }),
      (error: unknown) => error as { readonly code: number; readonly stdout: string; readonly stderr: string },
    );
    if (ended.code === wanted) return ended.stdout;
    throw new Error(`keyferry ${args.join(' ')} ended with ${ended.code}\n${ended.stdout}${ended.stderr}`);
  }
}

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
