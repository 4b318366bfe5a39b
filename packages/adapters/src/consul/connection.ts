/** How to reach a cluster, whatever is asked of it then: records, a switch, an application's keys. */
import { invariant } from '@keyferry/core';
import { HttpClient } from '../http/client.ts';
import type { TlsOptions } from '../http/options.ts';
import { ConsulApi, type ConsulTenancy } from './api.ts';

export interface ConsulConnectionOptions extends ConsulTenancy {
  /** The store's name in the configuration: errors carry it. */
  readonly name: string;
  /** `http://host:port` or `https://host:port` of agents, servers or clients; at least one. */
  readonly endpoints: readonly string[];
  readonly tls?: TlsOptions | undefined;
  /** Secret of an ACL token. */
  readonly token?: string | undefined;
  /** Until the head of an answer; ten times this for a listing. */
  readonly requestTimeoutMs?: number | undefined;
}

export interface ConsulConnection {
  readonly client: HttpClient;
  readonly api: ConsulApi;
}

/** Connects with the first request. @param defaultTimeoutMs where the options have none */
export function connectionTo(options: ConsulConnectionOptions, defaultTimeoutMs: number): ConsulConnection {
  const { name: store, endpoints, tls, token, requestTimeoutMs = defaultTimeoutMs } = options;
  const { namespace, partition, datacenter } = options;
  invariant(endpoints.length > 0, `store ${store} has no endpoints`);
  const client = new HttpClient({ store, endpoints, tls, timeouts: { headersMs: requestTimeoutMs } });
  const tenancy = { namespace, partition, datacenter };
  return { client, api: new ConsulApi({ store, client, token, requestTimeoutMs, ...tenancy }) };
}
