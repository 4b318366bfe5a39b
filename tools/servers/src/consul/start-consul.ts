/**
 * Starts a real Consul, alone or as a cluster of three servers, and ends it with everything it made.
 *
 *     ports, directory, certificates ──► all servers started ──► all healthy ──► server.stop()
 *                 ▲                              │
 *                 └────── a port was taken ──────┘
 *
 * Each lives in a temporary directory of its own, removed on stop, on the end of this process, or by the sweep of a later
 * one. A data directory that the caller names is used as it is, ended gently and kept.
 */
import { randomUUID } from 'node:crypto';
import { join, resolve } from 'node:path';
import { requireServer } from '../availability.ts';
import { writeCertificates, type CertificateFiles } from '../net/certificates.ts';
import { clientAgent, type ClientTlsFiles } from '../net/request.ts';
import { freePorts } from '../process/free-ports.ts';
import { openLife, startInOwnDirectory, type OwnPlace } from '../process/server-life.ts';
import { endpointOf, type ConsulFlags, type ServerPlan } from './arguments.ts';
import type { ConsulKind, ConsulVersion } from './releases.ts';
import { createMember, type ConsulMember } from './server.ts';

export interface ConsulOptions {
  /** Default 1.8. */
  readonly version?: ConsulVersion;
  /** Servers of the cluster. Default 1. */
  readonly members?: 1 | 3;
  /** Default false: plain HTTP. True: server certificate only. */
  readonly tls?: boolean | { readonly clientCertAuth: boolean };
  /** Default false. True: ACLs deny by default, and `managementToken` is the secret of the one that may do everything. */
  readonly acl?: boolean;
  /** HTTP port of the first server; further ones take the ports after it. Default: free ones. */
  readonly port?: number;
  /** Fields of the server's own configuration file; they win. */
  readonly extraConfig?: Readonly<Record<string, unknown>>;
  /** Used and kept. With one server it is Consul's data directory itself, with three the parent of m1, m2 and m3. */
  readonly dataDir?: string;
  /** Leaves the server running after this process. Default false. */
  readonly detached?: boolean;
  /** Default 30 000. */
  readonly startTimeoutMs?: number;
}

export interface ConsulServer {
  readonly kind: ConsulKind;
  /** Name of its record: what the command line's `stop` takes. */
  readonly id: string;
  /** `http://127.0.0.1:port`, or https, one a server. */
  readonly endpoints: readonly string[];
  readonly members: readonly ConsulMember[];
  /** Where the program `consul` is. */
  readonly programDirectory: string;
  readonly managementToken: string | undefined;
  /** Present with TLS. */
  readonly tls: CertificateFiles | undefined;
  /** Present with TLS: what a well-behaved client of this very server presents. */
  readonly clientTls: ClientTlsFiles | undefined;
  /** Resolves once every server answers a consistent read. */
  waitHealthy(timeoutMs?: number): Promise<void>;
  /** Ends all servers and removes the temporary directory. Safe to repeat. */
  stop(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

const portsEach = 3;

/**
 * @example
 * await using consul = await startConsul();
 * await request(`${consul.endpoints[0]}/v1/kv/greeting`, { method: 'PUT', body: 'hello' });
 * @throws {ServerError} `server.unavailable`, `server.start-failed`, or `server.port-taken` for a port the caller chose.
 */
export async function startConsul(options: ConsulOptions = {}): Promise<ConsulServer> {
  const kind: ConsulKind = `consul-${options.version ?? '1.8'}`;
  const { programDirectory } = await requireServer(kind);
  return await startInOwnDirectory(kind, options.port, (place) => startOnce(kind, programDirectory, place, options));
}

async function startOnce(
  kind: ConsulKind,
  programDirectory: string,
  place: OwnPlace,
  options: ConsulOptions,
): Promise<ConsulServer> {
  const { directory } = place;
  const { version = '1.8', detached = false, startTimeoutMs = 30_000, acl = false, extraConfig = {} } = options;
  const cluster = await planServers(options, directory);
  const flags: ConsulFlags = {
    version,
    tls: await prepareTls(options, directory),
    managementToken: acl ? randomUUID() : undefined,
    extraConfig,
  };
  const clientTls = flags.tls && clientFiles(flags.tls);
  const agent = clientAgent(clientTls, 2 * cluster.length);
  const endpoints = cluster.map((plan) => endpointOf(plan, flags));
  const life = openLife({
    place,
    detached,
    killNow: () => members.forEach((member) => member.killNow()),
    async end() {
      // Nobody will look at a temporary directory again, so there a gentle end would only cost time.
      await Promise.all(members.map((each) => (options.dataDir === undefined ? each.kill('SIGKILL') : each.stop())));
      agent.destroy();
    },
  });
  const onProcessesChanged = (): void =>
    life.note(
      endpoints,
      members.flatMap(({ pid }) => pid ?? []),
    );
  const members: readonly ReturnType<typeof createMember>[] = cluster.map((plan, index) =>
    createMember({
      endpoint: endpoints[index] ?? '',
      plan,
      cluster,
      flags,
      programDirectory,
      logFile: join(directory, `${plan.name}.log`),
      agent,
      detached,
      startTimeoutMs,
      onProcessesChanged,
    }),
  );
  const waitHealthy = async (timeoutMs?: number): Promise<void> => {
    await Promise.all(members.map((member) => member.waitHealthy(timeoutMs)));
  };
  await life.begin(async () => {
    await Promise.all(members.map((member) => member.restart({ waitHealthy: false })));
    await waitHealthy();
  });
  if (detached) agent.destroy(); // an idle connection would keep this process from ending
  const { managementToken, tls } = flags;
  const about = { kind, id: life.id, endpoints, members, programDirectory, managementToken, clientTls };
  return { ...about, tls: tls?.files, waitHealthy, stop: life.stop, [Symbol.asyncDispose]: life.stop };
}

async function planServers(options: ConsulOptions, directory: string): Promise<readonly ServerPlan[]> {
  const { port, members: count = 1, dataDir } = options;
  const free = await freePorts(portsEach * count);
  return Array.from({ length: count }, (_, index) => {
    const name = `m${index + 1}`;
    const given = dataDir === undefined ? undefined : resolve(dataDir);
    return {
      name,
      dataDir: given === undefined ? join(directory, name) : count === 1 ? given : join(given, name),
      rpcPort: free[portsEach * index] ?? 0,
      gossipPort: free[portsEach * index + 1] ?? 0,
      httpPort: port === undefined ? (free[portsEach * index + 2] ?? 0) : port + index,
    };
  });
}

async function prepareTls({ tls = false }: ConsulOptions, directory: string): Promise<ConsulFlags['tls']> {
  if (tls === false) return undefined;
  const { clientCertAuth } = tls === true ? { clientCertAuth: false } : tls;
  return { files: await writeCertificates(join(directory, 'tls')), clientCertAuth };
}

/** A client presents its certificate only where the server asks: one that is not needed would hide a missing check. */
function clientFiles({ files, clientCertAuth }: NonNullable<ConsulFlags['tls']>): ClientTlsFiles {
  const { caFile, clientCertFile, clientKeyFile } = files;
  return clientCertAuth ? { caFile, clientCertFile, clientKeyFile } : { caFile };
}
