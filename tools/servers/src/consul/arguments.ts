/**
 * Builds the command line and the configuration of one Consul server. Pure, so that what must never leave the loopback
 * interface can be read and tested here.
 *
 * Servers find each other by their gossip ports on 127.0.0.1. DNS, WAN gossip and the look for updates are off; raft
 * runs at its quickest, so that a lost leader is replaced within a second or two.
 */
import type { CertificateFiles } from '../net/certificates.ts';
import type { ConsulVersion } from './releases.ts';

export interface ServerPlan {
  readonly name: string;
  readonly dataDir: string;
  readonly httpPort: number;
  readonly rpcPort: number;
  readonly gossipPort: number;
}

export interface ConsulFlags {
  readonly version: ConsulVersion;
  readonly tls: { readonly files: CertificateFiles; readonly clientCertAuth: boolean } | undefined;
  /** Secret of the token that may do everything; with it ACLs are on and deny by default. */
  readonly managementToken: string | undefined;
  /** Further configuration, as JSON; wins. */
  readonly extraConfig: Readonly<Record<string, unknown>>;
}

export function consulArguments(server: ServerPlan, cluster: readonly ServerPlan[]): readonly string[] {
  return [
    'agent',
    '-server',
    `-bootstrap-expect=${cluster.length}`,
    `-node=${server.name}`,
    `-data-dir=${server.dataDir}`,
    `-config-file=${configFileOf(server)}`,
    ...cluster.filter((other) => other !== server).map(({ gossipPort }) => `-retry-join=127.0.0.1:${gossipPort}`),
  ];
}

export function configFileOf({ dataDir }: ServerPlan): string {
  return `${dataDir}.json`;
}

export function consulConfig(server: ServerPlan, { version, tls, managementToken, extraConfig }: ConsulFlags): object {
  const isOld = version === '1.8';
  const { httpPort, rpcPort, gossipPort } = server;
  return {
    bind_addr: '127.0.0.1',
    client_addr: '127.0.0.1',
    ports: {
      [tls === undefined ? 'http' : 'https']: httpPort,
      ...(tls === undefined ? {} : { http: -1 }),
      server: rpcPort,
      serf_lan: gossipPort,
      serf_wan: -1,
      dns: -1,
      grpc: -1,
      ...(isOld ? {} : { grpc_tls: -1 }), // which 1.14 and later open by themselves, at one port for all
    },
    disable_update_check: true,
    leave_on_terminate: false,
    retry_interval: '1s',
    performance: { raft_multiplier: 1 },
    ...(tls === undefined
      ? {}
      : {
          cert_file: tls.files.serverCertFile,
          key_file: tls.files.serverKeyFile,
          ca_file: tls.files.caFile,
          verify_incoming_https: tls.clientCertAuth,
        }),
    ...(managementToken === undefined
      ? {}
      : {
          acl: {
            enabled: true,
            default_policy: 'deny',
            tokens: { [isOld ? 'master' : 'initial_management']: managementToken },
          },
        }),
    ...extraConfig,
  };
}

export function endpointOf({ httpPort }: ServerPlan, { tls }: Pick<ConsulFlags, 'tls'>): string {
  return `${tls === undefined ? 'http' : 'https'}://127.0.0.1:${httpPort}`;
}

/** The caller's environment without CONSUL_* variables, which programs of Consul take for options. */
export function consulEnvironment(base: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(base).filter(([name]) => !name.startsWith('CONSUL_')));
}
