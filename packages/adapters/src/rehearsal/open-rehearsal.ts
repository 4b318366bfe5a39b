/**
 * The servers of a rehearsal, and the migration's configuration with them in the place of its own: registries, load balancers,
 * state and workspace. Of production's it keeps what is decided about the migration, and no address.
 *
 *     v2, v3 ──► two registries ──► a balancer for each of the migration's ──► configuration ──► the wiring of any migration
 */
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { invariant, KeyferryError, type BesidesArchive, type StopSignal } from '@keyferry/core';
import { programBeside, type BalancerConfig, type RegistryConfig } from '../config/parallel-config.ts';
import type { ResolvedConfig } from '../config/resolved-config.ts';
import type { RegistryPlace } from './throw-away-registry.ts';

export interface RehearsalServers {
  /** An http URL of an empty 2.x and of an empty 3.x, or the path of a distribution of it. */
  readonly v2: string;
  readonly v3: string;
  /** Program that runs jars. */
  readonly java: string;
}

export interface OpenRehearsal {
  /** Of the migration, with the servers of the rehearsal. */
  readonly config: ResolvedConfig;
  /** For archives; gone with the rehearsal. */
  readonly directory: string;
  /** @param besides null: nobody knows @returns what the throw-away 2.x did not take, each a fact for people */
  readonly fill: (file: string, besides: BesidesArchive | null, signal: StopSignal) => Promise<readonly string[]>;
  /** Ends what was started. Harmless to repeat. */
  close(): Promise<void>;
}

/** @throws {KeyferryError} `usage.invalid` for an address of the configuration; `rehearsal.server-failed` */
export async function openRehearsal(
  config: ResolvedConfig,
  migration: string,
  servers: RehearsalServers,
  signal: StopSignal,
): Promise<OpenRehearsal> {
  assertNobodys(config, [servers.v2, servers.v3]);
  // As for any migration, adapters are loaded by whoever needs them: this file is on the way of every command.
  const { fillBesides, fillOldRegistry } = await import('../apicurio/index.ts');
  const { openThrowAwayBalancer } = await import('./throw-away-balancer.ts');
  const { openThrowAwayRegistry } = await import('./throw-away-registry.ts');
  // Sockets go in there, whose paths may be 107 bytes long.
  const directory = await mkdtemp(join(tmpdir(), 'keyferry-rehearsal-'));
  const stops: (() => Promise<void>)[] = [];
  const close = async (): Promise<void> => {
    await Promise.all(stops.splice(0).map((stop) => stop()));
    await rm(directory, { recursive: true, force: true, maxRetries: 5 });
  };
  const place = async (name: string): Promise<string> => {
    const own = join(directory, name);
    await mkdir(own, { recursive: true });
    return own;
  };
  const registry = async (release: RegistryPlace['release'], where: string) => {
    const own = { release, where, java: servers.java, directory: await place(`v${release}`) };
    const opened = await openThrowAwayRegistry(own, signal);
    stops.push(() => opened.stop());
    return opened;
  };
  try {
    // One that fails leaves none behind: the other one is waited for, too.
    const started = await Promise.allSettled([registry(2, servers.v2), registry(3, servers.v3)]);
    const [old, fresh] = started.map((each) => {
      if (each.status === 'rejected') throw each.reason;
      return each.value;
    });
    invariant(old !== undefined && fresh !== undefined, 'two registries were started');
    const balancers: Record<string, BalancerConfig> = {};
    for (const [at, name] of (config.parallel[migration]?.balancers ?? []).entries()) {
      const { kind = 'haproxy', program, access } = config.balancers[name] ?? {};
      const opened = await openThrowAwayBalancer(
        {
          name,
          kind,
          // Of another machine it says nothing about this one.
          program: access === null && program !== undefined ? programBeside(config.directory, program) : kind,
          directory: await place(`b${at}`),
          v2: old.endpoint,
          v3: fresh.endpoint,
        },
        signal,
      );
      stops.push(() => opened.stop());
      balancers[name] = opened.config;
    }
    return {
      config: rehearsalConfig(config, migration, { old, fresh, balancers, directory }),
      directory,
      fill: async (file, besides, stop) => {
        const filled = { name: 'throw-away 2.x', endpoints: [old.endpoint] };
        await fillOldRegistry(filled, file, stop);
        const refused = besides === null ? [] : await fillBesides(filled, besides, stop);
        return refused.map(({ what, why }) => `${what}: the throw-away 2.x did not take it, ${why}`);
      },
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

/** An address that the configuration names is somebody's. @throws {KeyferryError} `usage.invalid` */
function assertNobodys(config: ResolvedConfig, places: readonly string[]): void {
  const known = [
    ...Object.values(config.stores).flatMap((store) => ('endpoints' in store ? store.endpoints : [])),
    ...Object.values(config.balancers).flatMap(({ url, listeners, direct, v3 }) => [
      url,
      ...listeners,
      ...direct,
      ...v3.servers.map((server) => `http://${server}`),
    ]),
  ];
  const hosts = new Set(known.flatMap((url) => (URL.canParse(url) ? [new URL(url).host] : [])));
  for (const place of places) {
    if (!/^https?:/.test(place) || !URL.canParse(place) || !hosts.has(new URL(place).host)) continue;
    throw new KeyferryError('usage.invalid', {
      what: `${place} is in the configuration: a rehearsal fills and empties what it is given`,
      fix: 'start a registry of its own for it, or give the path of a distribution',
    });
  }
  const [v2, v3] = places;
  if (v2 === v3) throw new KeyferryError('usage.invalid', { what: 'both registries are one', fix: 'give two' });
}

interface Replaced {
  readonly old: { readonly endpoint: string; readonly health: string | null };
  readonly fresh: { readonly endpoint: string; readonly health: string | null };
  readonly balancers: Readonly<Record<string, BalancerConfig>>;
  readonly directory: string;
}

/** The same migration with other servers: nobody is asked, nothing of the user's is run, and nothing has to soak. */
function rehearsalConfig(
  config: ResolvedConfig,
  migration: string,
  { old, fresh, balancers, directory }: Replaced,
): ResolvedConfig {
  const found = config.parallel[migration];
  invariant(found !== undefined, `${migration} was checked to be one of strategy parallel`);
  const registry = (
    kind: RegistryConfig['kind'],
    { endpoint, health }: Replaced['old'],
    name: string,
  ): RegistryConfig => {
    const { requestTimeoutMs, transferTimeoutMs } = config.stores[name] as RegistryConfig;
    const open = { tls: null, auth: null, oidc: null };
    return { kind, endpoints: [endpoint], ...open, health, requestTimeoutMs, transferTimeoutMs };
  };
  const [two, three] = [found.source.store, found.target.store];
  return {
    ...config,
    state: { sqlite: join(directory, 'state.db') },
    stores: { [two]: registry('apicurio-2', old, two), [three]: registry('apicurio-3', fresh, three) },
    balancers,
    migrations: {},
    parallel: {
      [migration]: {
        ...found,
        confirm: [],
        smoke: null,
        settings: null,
        soak: { ...found.soak, lengthMs: 0 },
        workspace: join(directory, 'archives'),
      },
    },
  };
}
