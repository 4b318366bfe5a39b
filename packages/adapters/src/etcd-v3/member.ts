/**
 * One member of the cluster: its connection, its token, and what is added to every call.
 *
 * No policy for faults here: client.ts has it. gRPC's own is not asked for, as it would repeat transactions by itself.
 */
import {
  credentials as grpcCredentials,
  type CallOptions,
  type ChannelCredentials,
  type ClientOptions,
} from '@grpc/grpc-js';
import { KeyferryError } from '@keyferry/core';
import type { EtcdClientOptions } from './client.ts';
import { faultOf, isStaleToken } from './errors.ts';
import { RpcClient } from './rpc-client.ts';

type Interceptor = NonNullable<CallOptions['interceptors']>[number];
export type Call<T> = (rpc: RpcClient, options: CallOptions) => Promise<T>;
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
  private readonly rpc: RpcClient;
  private readonly interceptors: Readonly<Record<Asks, Interceptor[]>>;
  private token: string | null = null;
  private signingIn: Promise<void> | null = null;

  constructor(endpoint: string, options: EtcdClientOptions) {
    this.endpoint = endpoint;
    this.options = options;
    const address = endpoint.replace(/^https?:\/\//, '');
    this.rpc = new RpcClient(address, credentialsOf(endpoint, options), channelOptions(options));
    const token = (): string | null => this.token;
    this.interceptors = { 'with-leader': [addMetadata(true, token)], leaderless: [addMetadata(false, token)] };
  }

  async run<T>(call: Call<T>, asks: Asks = 'with-leader'): Promise<T> {
    for (let tokens = 1; ; tokens += 1) {
      if (this.options.auth !== undefined && this.token === null) await this.signIn();
      const { token } = this;
      try {
        return await call(this.rpc, { deadline: this.deadline(), interceptors: this.interceptors[asks] });
      } catch (error) {
        if (token === null || tokens === tokensMax || !isStaleToken(faultOf(error), token === noUsers)) throw error;
        // Of many calls that were refused together, the first one to come here signs in for all.
        if (this.token === token) this.token = null;
      }
    }
  }

  close(): void {
    this.rpc.close();
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
      this.token = (await this.rpc.authenticate(request, { deadline: this.deadline() })).token;
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

/** Adds leader and token to a call. */
function addMetadata(requireLeader: boolean, token: () => string | null): Interceptor {
  return (options, nextCall) => {
    const call = nextCall(options);
    const start = call.start.bind(call);
    call.start = (metadata, listener) => {
      if (requireLeader) metadata.set('hasleader', 'true');
      const own = token();
      if (own !== null && own !== noUsers) metadata.set('token', own);
      start(metadata, listener);
    };
    return call as ReturnType<Interceptor>; // its type asks for the class, gRPC for the interface
  };
}

function credentialsOf(endpoint: string, { store, tls }: EtcdClientOptions): ChannelCredentials {
  if (tls !== undefined && endpoint.startsWith('http:')) {
    const detail = `${endpoint} is not https, and tls is configured`;
    throw new KeyferryError('store.tls-failed', { store, detail });
  }
  if (tls === undefined && !endpoint.startsWith('https:')) return grpcCredentials.createInsecure();
  const bytes = (pem: Buffer | string | undefined): Buffer | null =>
    pem === undefined ? null : Buffer.from(pem as string);
  // Without an authority of its own: the roots that Node trusts.
  return grpcCredentials.createSsl(bytes(tls?.ca), bytes(tls?.key), bytes(tls?.cert));
}

function channelOptions({ tls }: EtcdClientOptions): ClientOptions {
  const serverName = tls?.serverName;
  return {
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
  };
}
