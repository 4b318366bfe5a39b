/**
 * Builds the command line of one etcd member. Pure, so that what differs between releases can be read and tested here.
 *
 * Everything listens on 127.0.0.1 and only there, one client and one peer port. Peers talk plain HTTP also when clients
 * use TLS: it is the client side that the adapters meet, and peer certificates would only slow every start.
 */
import type { CertificateFiles } from '../net/certificates.ts';
import type { EtcdVersion } from './releases.ts';

export interface MemberPlan {
  readonly name: string;
  readonly dataDir: string;
  readonly clientPort: number;
  readonly peerPort: number;
}

export interface EtcdFlags {
  readonly version: EtcdVersion;
  /** Serve the v2 HTTP API beside v3, on the same port. */
  readonly enableV2: boolean;
  /** Skip fsync where the release can: faster, and safe against everything but a crash of the machine. */
  readonly unsafeNoFsync: boolean;
  readonly tls: { readonly files: CertificateFiles; readonly clientCertAuth: boolean } | undefined;
  /** Appended last; etcd lets the last of a repeated flag win. */
  readonly extraArgs: readonly string[];
}

export function etcdArguments(member: MemberPlan, cluster: readonly MemberPlan[], flags: EtcdFlags): readonly string[] {
  const endpoint = endpointOf(member, flags);
  return [
    `--name=${member.name}`,
    dataDirArgument(member),
    `--listen-client-urls=${endpoint}`,
    `--advertise-client-urls=${endpoint}`,
    `--listen-peer-urls=${peerUrl(member)}`,
    `--initial-advertise-peer-urls=${peerUrl(member)}`,
    `--initial-cluster=${cluster.map((other) => `${other.name}=${peerUrl(other)}`).join(',')}`,
    '--initial-cluster-state=new',
    // Said in both directions: the default is on in 3.3 and off from 3.4. 3.6 has no v2, and no such flag.
    ...(flags.version === '3.6' ? [] : [`--enable-v2=${flags.enableV2}`]),
    // The flag exists from 3.5 on; 3.4.23 stops with "flag provided but not defined".
    ...(flags.unsafeNoFsync && ['3.5', '3.6'].includes(flags.version) ? ['--unsafe-no-fsync'] : []),
    ...tlsArguments(flags),
    ...flags.extraArgs,
  ];
}

/** Also tells this member's process from any other; see member.ts. */
export function dataDirArgument(member: MemberPlan): string {
  return `--data-dir=${member.dataDir}`;
}

export function endpointOf(member: MemberPlan, flags: Pick<EtcdFlags, 'tls'>): string {
  return `${flags.tls === undefined ? 'http' : 'https'}://127.0.0.1:${member.clientPort}`;
}

/** The caller's environment without ETCD_* variables, which would silently act as flags. */
export function etcdEnvironment(base: NodeJS.ProcessEnv, architecture: string): NodeJS.ProcessEnv {
  const kept = Object.entries(base).filter(([name]) => !name.startsWith('ETCD'));
  // Releases before 3.5 refuse to start on arm64 unless told that this is known.
  return { ...Object.fromEntries(kept), ...(architecture === 'arm64' && { ETCD_UNSUPPORTED_ARCH: 'arm64' }) };
}

function peerUrl(member: MemberPlan): string {
  return `http://127.0.0.1:${member.peerPort}`;
}

function tlsArguments({ tls }: EtcdFlags): readonly string[] {
  if (tls === undefined) return [];
  return [
    `--cert-file=${tls.files.serverCertFile}`,
    `--key-file=${tls.files.serverKeyFile}`,
    ...(tls.clientCertAuth ? ['--client-cert-auth', `--trusted-ca-file=${tls.files.caFile}`] : []),
  ];
}
