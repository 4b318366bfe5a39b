/**
 * How the command line starts each kind of server: the few options that a person types, mapped to the full ones.
 * Tests call the start functions themselves, which know more.
 */
import { startApicurio } from './apicurio/start-apicurio.ts';
import type { ApicurioVersion } from './apicurio/releases.ts';
import { startConsul } from './consul/start-consul.ts';
import { startDynamoDb } from './dynamodb/start-dynamodb.ts';
import { startEtcd } from './etcd/start-etcd.ts';
import type { ConsulVersion } from './consul/releases.ts';
import type { EtcdVersion } from './etcd/releases.ts';
import type { ServerKind } from './definitions.ts';
import { startHaproxy, startNginx, type LoadBalancerPlace } from './load-balancer/start-load-balancer.ts';
import { startPostgres } from './postgres/start-postgres.ts';
import { ServerError } from './server-error.ts';

export interface StartRequest {
  readonly kind: ServerKind;
  readonly v2: boolean;
  readonly members: 1 | 3;
  readonly tls: boolean;
  readonly port: number | undefined;
  readonly dataDir: string | undefined;
}

export interface StartedServer {
  readonly id: string;
  readonly kind: ServerKind;
  readonly endpoints: readonly string[];
  /** CA of the server's certificate, with TLS. */
  readonly caFile: string | undefined;
  stop(): Promise<void>;
}

type Starter = (request: StartRequest, detached: boolean) => Promise<StartedServer>;

export const starters: Readonly<Record<ServerKind, Starter>> = {
  'etcd-3.3': etcdStarter('3.3'),
  'etcd-3.4': etcdStarter('3.4'),
  'etcd-3.5': etcdStarter('3.5'),
  'etcd-3.6': etcdStarter('3.6'),
  'consul-1.8': consulStarter('1.8'),
  'consul-1.15': consulStarter('1.15'),
  'dynamodb-local': startDynamoDbServer,
  'postgres-15': startPostgresServer,
  'apicurio-2.6': apicurioStarter('2.6'),
  'apicurio-3.0': apicurioStarter('3.0'),
  'apicurio-3.3': apicurioStarter('3.3'),
  'nginx-1.22': balancerStarter('nginx-1.22'),
  'haproxy-2.6': balancerStarter('haproxy-2.6'),
};

function consulStarter(version: ConsulVersion): Starter {
  return async ({ v2, members, tls, port, dataDir }, detached) => {
    if (v2) throw new ServerError('server.bad-argument', `consul-${version} has no v2.`, 'Leave it out.');
    const optional = { ...(port !== undefined && { port }), ...(dataDir !== undefined && { dataDir }) };
    const server = await startConsul({ version, members, tls, detached, ...optional });
    return { ...server, caFile: server.tls?.caFile };
  };
}

async function startDynamoDbServer(request: StartRequest, detached: boolean): Promise<StartedServer> {
  const { v2, members, tls, port, dataDir } = request;
  if (v2 || tls || members !== 1) {
    throw new ServerError('server.bad-argument', 'dynamodb-local has no v2, members or tls.', 'Leave them out.');
  }
  const optional = { ...(port !== undefined && { port }), ...(dataDir !== undefined && { dataDir }) };
  const server = await startDynamoDb({ detached, ...optional });
  return { ...server, caFile: undefined };
}

async function startPostgresServer(request: StartRequest, detached: boolean): Promise<StartedServer> {
  const { v2, members, tls, port, dataDir } = request;
  if (v2 || members !== 1) {
    throw new ServerError('server.bad-argument', 'postgres-15 has no v2 or members.', 'Leave them out.');
  }
  const optional = { ...(port !== undefined && { port }), ...(dataDir !== undefined && { dataDir }) };
  const server = await startPostgres({ tls, detached, ...optional });
  return { ...server, caFile: server.tls?.caFile };
}

function apicurioStarter(version: ApicurioVersion): Starter {
  return async ({ v2, members, tls, port, dataDir }, detached) => {
    if (v2 || tls || members !== 1) {
      throw new ServerError('server.bad-argument', `apicurio-${version} has no v2, members or tls.`, 'Leave them out.');
    }
    const optional = { ...(port !== undefined && { port }), ...(dataDir !== undefined && { dataDir }) };
    const server = await startApicurio({ version, detached, ...optional });
    return { ...server, caFile: undefined };
  };
}

/** With no server behind it: it answers 503 until somebody changes its files, or finds them in the directory that was given. */
function balancerStarter(kind: 'nginx-1.22' | 'haproxy-2.6'): Starter {
  return async ({ v2, members, tls, port, dataDir }, detached) => {
    if (v2 || tls || members !== 1) {
      throw new ServerError('server.bad-argument', `${kind} has no v2, members or tls.`, 'Leave them out.');
    }
    const optional = { ...(port !== undefined && { port }), ...(dataDir !== undefined && { dataDir }) };
    const server = await (kind === 'nginx-1.22'
      ? startNginx({ detached, ...optional, files: emptyNginx })
      : startHaproxy({ detached, ...optional, files: emptyHaproxy }));
    return { ...server, caFile: undefined };
  };
}

const emptyNginx = ({ ports }: LoadBalancerPlace) => ({
  'conf.d/empty.conf': `server { listen 127.0.0.1:${ports[0]}; location / { return 503; } }\n`,
});

const emptyHaproxy = ({ ports }: LoadBalancerPlace) => ({
  'haproxy.cfg': `defaults\n    mode http\n    timeout client 30s\n\nfrontend empty\n    bind 127.0.0.1:${ports[0]}\n`,
});

function etcdStarter(version: EtcdVersion): Starter {
  return async ({ v2, members, tls, port, dataDir }, detached) => {
    const optional = { ...(port !== undefined && { port }), ...(dataDir !== undefined && { dataDir }) };
    // Without --v2 the release's own default applies, which for 3.3 is "on".
    const server = await startEtcd({ version, members, tls, detached, ...(v2 && { enableV2: true }), ...optional });
    return { ...server, caFile: server.tls?.caFile };
  };
}
