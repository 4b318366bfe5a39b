/**
 * Starts a real etcd of one release, alone or as a cluster of three, and ends it with everything it made.
 *
 *     ports, directory, certificates ──► all members started ──► all healthy ──► server.stop()
 *                 ▲                              │
 *                 └────── a port was taken ──────┘
 *
 * Each server lives in a temporary directory of its own, removed on stop, on the end of this process, or by the sweep of
 * a later one. A data directory that the caller names is used as it is, ended gently and kept.
 */
import { join, resolve } from 'node:path';
import { requireServer } from '../availability.ts';
import { writeCertificates, type CertificateFiles, type CertificateOptions } from '../net/certificates.ts';
import { clientAgent, type ClientTlsFiles } from '../net/request.ts';
import { freePorts } from '../process/free-ports.ts';
import { openLife, startInOwnDirectory, type OwnPlace } from '../process/server-life.ts';
import { endpointOf, type EtcdFlags, type MemberPlan } from './arguments.ts';
import { createMember, type EtcdMember } from './member.ts';
import type { EtcdKind, EtcdVersion } from './releases.ts';

export interface EtcdOptions {
  readonly version: EtcdVersion;
  /** Default: on in 3.3 and off from 3.4, as etcd itself. v2 and v3 share one port. */
  readonly enableV2?: boolean;
  /** Default 1. */
  readonly members?: 1 | 3;
  /** Default false: plain HTTP. True: server certificate only. */
  readonly tls?: boolean | ({ readonly clientCertAuth: boolean } & CertificateOptions);
  /** Client port of the first member; further members take the ports after it. Default: free ones. */
  readonly port?: number;
  readonly extraArgs?: readonly string[];
  /** Default false. Skips fsync in 3.5, the only release here that can; no effect on 3.3 and 3.4. */
  readonly unsafeNoFsync?: boolean;
  /** Used and kept. With one member it is etcd's data directory itself, with three the parent of m1, m2 and m3. */
  readonly dataDir?: string;
  /** Leaves the server running after this process. Default false. */
  readonly detached?: boolean;
  /** Default 30 000. */
  readonly startTimeoutMs?: number;
}

export interface EtcdServer {
  readonly kind: EtcdKind;
  readonly version: EtcdVersion;
  /** Name of its record: what the command line's `stop` takes. */
  readonly id: string;
  /** `http://127.0.0.1:port`, or https, one a member. */
  readonly endpoints: readonly string[];
  readonly members: readonly EtcdMember[];
  /** Where etcd, etcdctl and (3.5) etcdutl are. */
  readonly programDirectory: string;
  /** Present with TLS: all files made, for the server, a client and an untrusted client. */
  readonly tls: CertificateFiles | undefined;
  /** Present with TLS: what a well-behaved client of this very server presents. */
  readonly clientTls: ClientTlsFiles | undefined;
  /** Resolves once every member answers a linearizable read. */
  waitHealthy(timeoutMs?: number): Promise<void>;
  /** Ends all members and removes the temporary directory. Safe to repeat. */
  stop(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

/**
 * @example
 * await using etcd = await startEtcd({ version: '3.4', enableV2: true });
 * await request(`${etcd.endpoints[0]}/v2/keys/greeting?value=hello`, { method: 'PUT' });
 * @throws {ServerError} `server.unavailable`, `server.start-failed`, or `server.port-taken` for a port the caller chose.
 */
export async function startEtcd(options: EtcdOptions): Promise<EtcdServer> {
  const kind = `etcd-${options.version}` as const;
  const { programDirectory } = await requireServer(kind);
  return await startInOwnDirectory(kind, options.port, (place) => startOnce(kind, programDirectory, place, options));
}

async function startOnce(
  kind: EtcdKind,
  programDirectory: string,
  place: OwnPlace,
  options: EtcdOptions,
): Promise<EtcdServer> {
  const { directory } = place;
  const { version, detached = false, startTimeoutMs = 30_000 } = options;
  const plans = await planMembers(options, directory);
  const tls = await prepareTls(options, directory);
  const clientTls = tls && clientFiles(tls);
  const agent = clientAgent(clientTls, plans.length);
  const flags: EtcdFlags = {
    version,
    enableV2: options.enableV2 ?? version === '3.3',
    unsafeNoFsync: options.unsafeNoFsync ?? false,
    tls,
    extraArgs: options.extraArgs ?? [],
  };
  const endpoints = plans.map((plan) => endpointOf(plan, flags));
  const life = openLife({
    place,
    detached,
    killNow: () => members.forEach((member) => member.killNow()),
    async end() {
      // Nobody will look at a temporary directory again, so there a gentle end would only cost time.
      await Promise.all(
        members.map((member) => (options.dataDir === undefined ? member.kill('SIGKILL') : member.stop())),
      );
      agent.destroy();
    },
  });
  const onProcessesChanged = (): void =>
    life.note(
      endpoints,
      members.flatMap(({ pid }) => pid ?? []),
    );
  const programDirectoryOf = async (wanted: EtcdVersion): Promise<string> =>
    wanted === version ? programDirectory : (await requireServer(`etcd-${wanted}`)).programDirectory;
  const members: readonly ReturnType<typeof createMember>[] = plans.map((plan, index) =>
    createMember({
      endpoint: endpoints[index] ?? '',
      plan,
      cluster: plans,
      flags,
      logFile: join(directory, `${plan.name}.log`),
      agent,
      detached,
      startTimeoutMs,
      programDirectoryOf,
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
  const about = { kind, version, id: life.id, endpoints, members, programDirectory, tls: tls?.files, clientTls };
  return { ...about, waitHealthy, stop: life.stop, [Symbol.asyncDispose]: life.stop };
}

async function planMembers(options: EtcdOptions, directory: string): Promise<readonly MemberPlan[]> {
  const { port, members: count = 1, dataDir } = options;
  const free = await freePorts(port === undefined ? 2 * count : count);
  return Array.from({ length: count }, (_, index) => {
    const name = `m${index + 1}`;
    const given = dataDir === undefined ? undefined : resolve(dataDir);
    return {
      name,
      dataDir: given === undefined ? join(directory, name) : count === 1 ? given : join(given, name),
      peerPort: free[index] ?? 0,
      clientPort: port === undefined ? (free[count + index] ?? 0) : port + index,
    };
  });
}

async function prepareTls({ tls = false }: EtcdOptions, directory: string): Promise<EtcdFlags['tls']> {
  if (tls === false) return undefined;
  const { clientCertAuth, ...certificates } = tls === true ? { clientCertAuth: false } : tls;
  return { files: await writeCertificates(join(directory, 'tls'), certificates), clientCertAuth };
}

/** A client presents its certificate only where the server asks: one that is not needed would hide a missing check. */
function clientFiles({ files, clientCertAuth }: NonNullable<EtcdFlags['tls']>): ClientTlsFiles {
  const { caFile, clientCertFile, clientKeyFile } = files;
  return clientCertAuth ? { caFile, clientCertFile, clientKeyFile } : { caFile };
}
