/**
 * One member of the cluster: its connection, its token, and what is added to every call.
 *
 * etcd3's own policy is switched off: by default it repeats transactions after a deadline and lets one caller's deadline
 * trip a breaker for all others. Its sign-in is not used either: it ignores the channel options (so a server name) and
 * keeps a connection open for each token. Nor is its KV service: kv-client.ts says why.
 */
import { credentials as grpcCredentials } from '@grpc/grpc-js';
import { Etcd3, type IOptions } from 'etcd3';
import { KeyferryError } from '@keyferry/core';
import type { EtcdClientOptions } from './client.ts';
import { faultOf, isStaleToken } from './errors.ts';
import { KvClient } from './kv-client.ts';

type CallOptions = NonNullable<Parameters<Etcd3['kv']['range']>[1]>;
type Interceptor = NonNullable<CallOptions['interceptors']>[number];
/** What a call may be made with. Of npm `etcd3`, all services but KV. */
export interface Services {
  readonly kv: KvClient;
  readonly leases: Etcd3['leaseClient'];
  readonly cluster: Etcd3['cluster'];
  readonly maintenance: Etcd3['maintenance'];
}
export type Call<T> = (services: Services, options: CallOptions) => Promise<T>;
/** With a leader, a member without one says so at once (clientv3.WithRequireLeader), instead of after seven seconds. */
type Asks = 'with-leader' | 'leaderless';

/** A second token is refused only when users change at that very moment, or no token can be right. */
const tokensMax = 3;
/** In place of a token while the server has no users: they are configured here and not yet, or no longer, there. */
const noUsers = '';

export class Member {
  readonly endpoint: string;
  restsUntilMs = 0;
  private readonly options: EtcdClientOptions;
  private readonly etcd: Etcd3;
  private readonly services: Services;
  private readonly interceptors: Readonly<Record<Asks, Interceptor[]>>;
  private token: string | null = null;
  private signingIn: Promise<void> | null = null;

  constructor(endpoint: string, options: EtcdClientOptions) {
    this.endpoint = endpoint;
    this.options = options;
    const settings = etcd3Options(endpoint, options);
    this.etcd = new Etcd3(settings);
    const { leaseClient: leases, cluster, maintenance } = this.etcd;
    this.services = { kv: kvClient(endpoint, settings), leases, cluster, maintenance };
    const token = (): string | null => this.token;
    this.interceptors = { 'with-leader': [addMetadata(true, token)], leaderless: [addMetadata(false, token)] };
  }

  async run<T>(call: Call<T>, asks: Asks = 'with-leader'): Promise<T> {
    for (let tokens = 1; ; tokens += 1) {
      if (this.options.auth !== undefined && this.token === null) await this.signIn();
      const { token } = this;
      try {
        return await call(this.services, { deadline: this.deadline(), interceptors: this.interceptors[asks] });
      } catch (error) {
        if (token === null || tokens === tokensMax || !isStaleToken(faultOf(error), token === noUsers)) throw error;
        // Of many calls that were refused together, the first one to come here signs in for all.
        if (this.token === token) this.token = null;
      }
    }
  }

  close(): void {
    this.services.kv.close();
    this.etcd.close();
  }

  private async signIn(): Promise<void> {
    this.signingIn ??= this.readToken().finally(() => (this.signingIn = null));
    await this.signingIn;
  }

  private async readToken(): Promise<void> {
    const { auth } = this.options;
    if (auth === undefined) return;
    try {
      const request = { name: auth.user, password: auth.password };
      this.token = (await this.etcd.auth.authenticate(request, { deadline: this.deadline() })).token;
    } catch (error) {
      // rpctypes: ErrGRPCAuthNotEnabled, which etcd's own client passes over too.
      if (!faultOf(error).text.includes('authentication is not enabled')) throw error;
      this.token = noUsers;
    }
  }

  private deadline(): number {
    return Date.now() + this.options.requestTimeoutMs;
  }
}

/**
 * Adds leader and token to a call, and rewords one refusal: on "invalid auth token" etcd3 repeats the same call for ever,
 * since it believes that the token is its own.
 */
function addMetadata(requireLeader: boolean, token: () => string | null): Interceptor {
  return (options, nextCall) => {
    const call = nextCall(options);
    const start = call.start.bind(call);
    call.start = (metadata, listener) => {
      if (requireLeader) metadata.set('hasleader', 'true');
      const own = token();
      if (own === null || own === noUsers || listener === undefined) {
        start(metadata, listener);
        return;
      }
      metadata.set('token', own);
      start(metadata, {
        onReceiveMetadata: (it) => listener.onReceiveMetadata?.(it),
        onReceiveMessage: (it) => listener.onReceiveMessage?.(it),
        onReceiveStatus: (status) => {
          const details = status.details.replace('invalid auth token', 'auth token not known');
          listener.onReceiveStatus?.({ ...status, details });
        },
      });
    };
    return call as ReturnType<Interceptor>; // its type asks for the class, gRPC for the interface
  };
}

function etcd3Options(endpoint: string, { store, tls }: EtcdClientOptions): IOptions {
  if (tls !== undefined && endpoint.startsWith('http:')) {
    const detail = `${endpoint} is not https, and tls is configured`;
    throw new KeyferryError('store.tls-failed', { store, detail });
  }
  const bytes = (pem: Buffer | string): Buffer => (typeof pem === 'string' ? Buffer.from(pem) : pem);
  const credentials = tls && {
    // Absent: the roots that Node trusts. etcd3's types ask for one, gRPC does not.
    rootCertificate: (tls.ca === undefined ? null : bytes(tls.ca)) as Buffer,
    ...(tls.key !== undefined && { privateKey: bytes(tls.key) }),
    ...(tls.cert !== undefined && { certChain: bytes(tls.cert) }),
  };
  const serverName = tls?.serverName;
  return {
    hosts: endpoint,
    ...(credentials && { credentials }),
    faultHandling: { global: noPolicy, host: () => noPolicy },
    grpcOptions: {
      // gRPC's own limit of 4 MiB is less than a page of large values; etcd answers with messages of any size.
      'grpc.max_receive_message_length': -1,
      'grpc.max_send_message_length': -1,
      'grpc.max_reconnect_backoff_ms': 2000,
      // Notices a connection that died silently. The server takes pings oftener than every 5 s for abuse (etcd reference).
      'grpc.keepalive_time_ms': 30_000,
      'grpc.keepalive_timeout_ms': 10_000,
      'grpc.service_config_disable_resolution': 1,
      ...(serverName !== undefined && {
        'grpc.ssl_target_name_override': serverName,
        'grpc.default_authority': serverName,
      }),
    },
  };
}

/** With the address, credentials and options that npm `etcd3` makes of the same settings. */
function kvClient(endpoint: string, { credentials, grpcOptions = {} }: IOptions): KvClient {
  const { rootCertificate = null, privateKey = null, certChain = null } = credentials ?? {};
  const isSecure = credentials !== undefined || endpoint.startsWith('https:');
  const channel = isSecure
    ? grpcCredentials.createSsl(rootCertificate, privateKey, certChain)
    : grpcCredentials.createInsecure();
  return new KvClient(endpoint.replace(/^https?:\/\//, ''), channel, grpcOptions);
}

type Policy = NonNullable<NonNullable<IOptions['faultHandling']>['global']>;
const noSignal = new AbortController().signal;
const ignore = () => ({ dispose: () => {} });
const noPolicy = {
  onSuccess: ignore,
  onFailure: ignore,
  execute: async (call: (context: { signal: AbortSignal }) => unknown) => call({ signal: noSignal }),
} as unknown as Policy;
