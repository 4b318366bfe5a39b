/** A migration of strategy `parallel` by the built command line: a 2.6 behind a HAProxy and an nginx, and an empty 3.3 each time. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  balancerFields,
  startApicurio,
  startRegistryBalancers,
  type ApicurioServer,
  type LoadBalancer,
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
    const { nginx, haproxy } = await startRegistryBalancers(old.endpoint);
    const balancers = balancerFields({ nginx, haproxy }, fresh.endpoint);
    const folder = await mkdtemp(join(tmpdir(), 'keyferry-bench-'));
    const config = {
      version: 1,
      stores: {
        old: { kind: 'apicurio-2', endpoints: [old.endpoint] },
        fresh: { kind: 'apicurio-3', endpoints: [fresh.endpoint] },
      },
      balancers: { edge: balancers.haproxy, inside: balancers.nginx },
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
