/** What the adapters of servers are given, from a configuration: where to connect, whom to trust and who it is. Secrets are read here. */
import { join } from 'node:path';
import type { Redactor } from './config/redactor.ts';
import type {
  PlannedSettings,
  PostgresConfig,
  ResolvedConfig,
  StoreConfig,
  SwitchPlaceConfig,
} from './config/resolved-config.ts';
import { readAuth, readSecret, readTls, type SecretContext } from './config/secrets.ts';

/** What it takes to open a store of a migration. */
export interface StoreContext extends SecretContext {
  readonly migration: string;
  readonly nowMs: () => number;
  readonly settings: PlannedSettings;
}

export async function networkOptions(
  store: Extract<StoreConfig, { readonly kind: 'etcd-v2' | 'etcd-v3' }>,
  context: SecretContext,
) {
  const { endpoints, tls, auth, requestTimeoutMs } = store;
  return {
    endpoints,
    ...(tls === null ? {} : { tls: await readTls(tls, context) }),
    ...(auth === null ? {} : { auth: await readAuth(auth, context) }),
    ...(requestTimeoutMs === null ? {} : { requestTimeoutMs }),
  };
}

/** How members of a store of kind etcd-v2 are asked one by one. @returns null where the configuration has no such store */
export async function etcdV2Access(config: ResolvedConfig, name: string, redactor: Redactor) {
  const store = Object.hasOwn(config.stores, name) ? config.stores[name] : undefined;
  if (store?.kind !== 'etcd-v2') return null;
  const { endpoints: _, ...access } = await networkOptions(store, { directory: config.directory, redactor });
  return access;
}

export async function consulOptions(store: Extract<StoreConfig, { readonly kind: 'consul' }>, context: SecretContext) {
  const { endpoints, tls, token, datacenter, namespace, partition, flagsFrom, reservedPrefix } = store;
  return {
    endpoints,
    datacenter: datacenter ?? undefined,
    namespace: namespace ?? undefined,
    partition: partition ?? undefined,
    flagsFrom: flagsFrom ?? undefined,
    reservedPrefix: reservedPrefix ?? undefined,
    requestTimeoutMs: store.requestTimeoutMs ?? undefined,
    ...(tls === null ? {} : { tls: await readTls(tls, context) }),
    ...(token === null ? {} : { token: await readSecret(token, context) }),
  };
}

export async function postgresConnection(store: PostgresConfig, context: SecretContext) {
  const { host, port, database, tls, auth, statementTimeoutMs, schema } = store;
  return {
    host,
    port,
    database,
    schema: schema ?? undefined,
    statementTimeoutMs: statementTimeoutMs ?? undefined,
    auth: await readAuth(auth, context),
    ...(tls === null ? {} : { tls: await readTls(tls, context) }),
  };
}

/** A switch in a table: several of them differ by their names. */
export function tableOptions({ dynamodb, key }: Extract<SwitchPlaceConfig, { readonly dynamodb: unknown }>) {
  const { table, region, endpoint, requestTimeoutMs } = dynamodb;
  return {
    name: key ?? 'switch',
    table,
    region,
    endpoint: endpoint ?? undefined,
    requestTimeoutMs: requestTimeoutMs ?? undefined,
  };
}

/** Beside the state: whoever goes on with a migration does so in the same folder. */
export function feedFileOf(directory: string, migration: string, side: 'source' | 'target'): string {
  return join(directory, '.keyferry', 'feeds', `${encodeURIComponent(migration)}-${side}.db`);
}
