/**
 * Wiring of strategy `parallel`: registries, load balancers, and the directory for archives.
 *
 * What comes back has the shape that the engine asks for; it is written down here in core's ports alone, because adapters
 * do not know the engine.
 */
import { createHash } from 'node:crypto';
import { createReadStream, mkdirSync } from 'node:fs';
import { readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { pipeline } from 'node:stream/promises';
import {
  invariant,
  KeyferryError,
  type LoadBalancer,
  type MigrationId,
  type NewRegistry,
  type OldRegistry,
  type ParallelSettings,
  type RegistryArchives,
  type RegistryFront,
  type RegistrySettings,
  type Repeat,
  type StopSignal,
} from '@keyferry/core';
import { nearest } from './config/nearest.ts';
import { parallelDigest, programBeside, type RegistryConfig } from './config/parallel-config.ts';
import type { Redactor } from './config/redactor.ts';
import type { LoadBalancerConfig } from './load-balancer/balancer-config.ts';
import type { ResolvedConfig } from './config/resolved-config.ts';
import { readAuth, readSecret, readTls, type SecretContext } from './config/secrets.ts';
import { keyferryVersion } from './environment/keyferry-version.ts';
import { shortPath } from './short-path.ts';

export interface WiredParallel {
  readonly settings: ParallelSettings;
  readonly ports: {
    readonly source: OldRegistry;
    readonly target: NewRegistry;
    readonly balancers: readonly LoadBalancer[];
    readonly archives: RegistryArchives;
    readonly front: RegistryFront;
    readonly settings: RegistrySettings | null;
    readonly workspace: ReturnType<typeof openWorkspace>;
    readonly runCommand: typeof runCommand;
  };
  /** Harmless to repeat. */
  close(): Promise<void>;
}

/** @throws {KeyferryError} `config.unknown-migration` */
export function parallelSettings(config: ResolvedConfig, migration: string): ParallelSettings {
  const { stores, balancers } = config;
  const found = Object.hasOwn(config.parallel, migration) ? config.parallel[migration] : undefined;
  if (found === undefined) {
    const known = [...Object.keys(config.parallel), ...Object.keys(config.migrations)];
    throw new KeyferryError('config.unknown-migration', { migration, known, suggestion: nearest(migration, known) });
  }
  const { source, target, soak, freeze, confirm, repair, losses, smoke, planMaxAgeMs } = found;
  const named = Object.fromEntries([source.store, target.store].map((name) => [name, stores[name] ?? null]));
  const used = Object.fromEntries(found.balancers.map((name) => [name, balancers[name] ?? null]));
  const [program, ...rest] = smoke ?? [];
  return {
    migration: migration as MigrationId,
    configDigest: parallelDigest(migration, found, named, used),
    keyferryVersion: keyferryVersion(),
    confirm,
    freeze: { maxMs: freeze.maxMs, drainMs: freeze.drainMs },
    bulk: freeze.bulk,
    repair,
    losses,
    soak: {
      lengthMs: soak.lengthMs,
      errorShareMax: soak.errorShareMax,
      p99MaxMs: soak.p99MaxMs,
      gapMaxMs: soak.gapMaxMs,
    },
    soakEveryMs: soak.everyMs,
    smokeCommand: program === undefined ? null : [programBeside(config.directory, program), ...rest],
    planMaxAgeMs,
  };
}

/**
 * Connects with the first calls.
 * @param repeat lent to both registries; what passes the balancers is asked as clients ask, once
 * @throws {KeyferryError} `config.unknown-migration`, `config.secret-missing`, `file.unreadable`
 */
export async function wireParallel(
  config: ResolvedConfig,
  migration: string,
  { redactor, repeat }: { readonly redactor: Redactor; readonly repeat: Repeat },
): Promise<WiredParallel> {
  const settings = parallelSettings(config, migration);
  const found = config.parallel[migration];
  invariant(found !== undefined, `${migration} was checked to be one of strategy parallel`);
  const { openNewRegistry, openOldRegistry, registryArchives, registryFront, registrySettings } =
    await import('./apicurio/index.ts');
  const context = { directory: config.directory, redactor };
  const old = await connection(found.source.store, config, context);
  const fresh = await connection(found.target.store, config, context);
  const source = openOldRegistry({ ...old, repeat });
  const target = openNewRegistry({ ...fresh, repeat });
  const balancers = await wireBalancers(config, migration);
  const directory = shortPath(config.directory, found.workspace ?? join('.keyferry', 'parallel', migration));
  return {
    settings,
    ports: {
      source,
      target,
      balancers,
      archives: registryArchives,
      front: registryFront(fresh, await readAuthorities(config, migration)),
      settings: found.settings === null ? null : registrySettings(resolve(config.directory, found.settings)),
      workspace: openWorkspace(resolve(directory)),
      runCommand,
    },
    close: async () => {
      await Promise.all([source, target, ...balancers].map((each) => each.close()));
    },
  };
}

/** By the URLs of load balancers that have some. @throws {KeyferryError} `file.unreadable` */
async function readAuthorities(config: ResolvedConfig, migration: string): Promise<ReadonlyMap<string, string>> {
  const authorities = new Map<string, string>();
  for (const name of config.parallel[migration]?.balancers ?? []) {
    const { url, ca = null } = { ...config.balancers[name] };
    if (url === undefined || ca === null) continue;
    const file = resolve(config.directory, ca);
    const pem = await readFile(file, 'utf8').catch((error: unknown) => {
      throw unreadable(file, error);
    });
    authorities.set(url, pem);
  }
  return authorities;
}

/** The load balancers of a migration alone: for whoever wants to know where they lead. */
export async function wireBalancers(config: ResolvedConfig, migration: string): Promise<readonly LoadBalancer[]> {
  const { openLoadBalancer } = await import('./load-balancer/index.ts');
  const named = config.parallel[migration]?.balancers ?? [];
  return named.map((name) => {
    const found = config.balancers[name];
    invariant(found !== undefined, `a checked configuration has no load balancer ${name}`);
    const { ca, ...balancer } = found;
    const { directory } = config;
    const caFile = ca === null ? null : resolve(directory, ca);
    return openLoadBalancer(name, { ...onThisMachine(balancer, directory), caFile });
  });
}

/**
 * Paths go into the balancer's own configuration, and it has another working directory than this process. Those of another machine
 * are as they are written.
 */
function onThisMachine<T extends Omit<LoadBalancerConfig, 'caFile'>>(balancer: T, directory: string): T {
  if (balancer.access !== null) return balancer;
  const { socket, program } = balancer;
  const here = (path: string): string => resolve(directory, path);
  return {
    ...balancer,
    program: programBeside(directory, program),
    configFile: here(balancer.configFile),
    files: balancer.files.map(here),
    directory: here(balancer.directory),
    pidFile: here(balancer.pidFile),
    socket: socket?.includes('/') === true ? here(socket) : socket,
    accessLogs: balancer.accessLogs.map(here),
    workingDirectory: directory,
  };
}

async function connection(name: string, config: ResolvedConfig, context: SecretContext) {
  const store = config.stores[name] as RegistryConfig | undefined;
  invariant(store !== undefined, `a checked configuration has no store ${name}`);
  const { endpoints, tls, auth, oidc, health, requestTimeoutMs, transferTimeoutMs } = store;
  return {
    name,
    endpoints,
    health: health ?? undefined,
    requestTimeoutMs: requestTimeoutMs ?? undefined,
    transferTimeoutMs: transferTimeoutMs ?? undefined,
    onToken: (token: string) => context.redactor.add(token),
    ...(tls === null ? {} : { tls: await readTls(tls, context) }),
    ...(auth === null ? {} : { auth: await readAuth(auth, context) }),
    ...(oidc === null
      ? {}
      : {
          oidc: {
            tokenUrl: oidc.tokenUrl,
            clientId: oidc.clientId,
            clientSecret: await readSecret(oidc.clientSecret, context),
            scope: oidc.scope ?? undefined,
          },
        }),
  };
}

function openWorkspace(directory: string) {
  const path = (name: string): string => {
    // Archives hold schemas: for nobody else on this machine.
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    return join(directory, name);
  };
  return {
    path,
    sha256: async (name: string): Promise<string | null> => {
      const hash = createHash('sha256');
      try {
        await pipeline(createReadStream(path(name)), hash);
      } catch (error) {
        if (isAbsent(error)) return null;
        throw unreadable(path(name), error);
      }
      return hash.digest('hex');
    },
    writeJson: async (name: string, value: unknown): Promise<void> => {
      const beside = path(`${name}.part`);
      await writeFile(beside, JSON.stringify(value), { mode: 0o600 });
      await rename(beside, path(name));
    },
    readJson: async (name: string): Promise<unknown> => {
      try {
        return JSON.parse(await readFile(path(name), 'utf8')) as unknown;
      } catch {
        return null; // absent or torn: it is made anew
      }
    },
    remove: async (name: string): Promise<void> => {
      await rm(path(name), { force: true });
    },
  };
}

function isAbsent(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ENOENT';
}

function unreadable(file: string, cause: unknown): KeyferryError {
  const detail = cause instanceof Error ? cause.message : String(cause);
  return new KeyferryError('file.unreadable', { file, detail }, { cause });
}

const outputMax = 4000;

/** Runs a program of the user's to its end, or until it is told to stop. */
async function runCommand(run: readonly string[], signal: StopSignal) {
  const startedAtMs = performance.now();
  const [program = '', ...rest] = run;
  const { spawn } = await import('node:child_process');
  return await new Promise<{ run: readonly string[]; exitCode: number | null; output: string; tookMs: number }>(
    (done) => {
      const child = spawn(program, rest, { stdio: ['ignore', 'pipe', 'pipe'] });
      const stop = (): void => void child.kill('SIGTERM');
      signal.addEventListener('abort', stop);
      let output = '';
      const say = (text: string): void => {
        output = (output + text).slice(-outputMax);
      };
      child.stdout.setEncoding('utf8').on('data', say);
      child.stderr.setEncoding('utf8').on('data', say);
      const end = (exitCode: number | null): void => {
        signal.removeEventListener('abort', stop);
        done({ run, exitCode, output, tookMs: Math.round(performance.now() - startedAtMs) });
      };
      child.on('error', (error) => {
        say(error.message);
        end(null);
      });
      child.on('close', end);
    },
  );
}
