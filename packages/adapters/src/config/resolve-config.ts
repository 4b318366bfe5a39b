/** Turns a checked file into its meaning: units in the names, null for what is not set, nothing left implicit. */
import { listPrices } from '@keyferry/core';
import { resolveBalancer, resolveParallel, resolveRegistry } from './parallel-config.ts';
import type { CheckedParallel } from './parallel-fields.ts';
import type {
  AuthConfig,
  FreezeConfig,
  MigrationConfig,
  PostgresConfig,
  ReplicateConfig,
  ResolvedConfig,
  SecretReference,
  StoreConfig,
  TlsConfig,
} from './resolved-config.ts';
import type { CheckedConfig } from './schema.ts';

type CheckedStore = CheckedConfig['stores'][string];
type CheckedMigration = Exclude<CheckedConfig['migrations'][string], CheckedParallel>;
type CheckedEtcd = Extract<CheckedStore, { readonly kind: 'etcd-v2' | 'etcd-v3' }>;
type CheckedConsul = Extract<CheckedStore, { readonly kind: 'consul' }>;

export function resolveConfig(checked: CheckedConfig, file: string, directory: string): ResolvedConfig {
  const records: Record<string, CheckedMigration> = {};
  const parallel: Record<string, CheckedParallel> = {};
  for (const [name, each] of Object.entries(checked.migrations)) {
    if (each.strategy === 'parallel') parallel[name] = each;
    else records[name] = each;
  }
  return {
    file,
    directory,
    state: checked.state,
    stores: mapValues(checked.stores, resolveStore),
    migrations: mapValues(records, (each) => resolveMigration(each, checked.stores)),
    balancers: mapValues(checked.balancers, resolveBalancer),
    parallel: mapValues(parallel, resolveParallel),
    prices: checked.prices ?? listPrices,
  };
}

function mapValues<A, B>(record: Readonly<Record<string, A>>, map: (value: A) => B): Readonly<Record<string, B>> {
  return Object.fromEntries(Object.entries(record).map(([key, value]) => [key, map(value)]));
}

function resolveStore(store: CheckedStore): StoreConfig {
  switch (store.kind) {
    case 'etcd-v2':
    case 'etcd-v3':
      return { kind: store.kind, ...resolveEtcd(store), reservedPrefix: store.reservedPrefix ?? null };
    case 'etcd-v2-datadir':
      return {
        ...store,
        walDir: store.walDir ?? null,
        members: store.members.map(({ dataDir, walDir = null }) => ({ dataDir, walDir })),
      };
    case 'etcd-v3-snapshot':
      return { kind: store.kind, path: store.path, firstRevision: store.firstRevision };
    case 'consul':
      return { kind: store.kind, ...resolveConsul(store) };
    case 'dynamodb':
      return resolveDynamoDb(store);
    case 'sqlite':
      return { kind: store.kind, file: store.file, table: store.table ?? null };
    case 'file':
      return { kind: store.kind, path: store.path, format: store.format };
    case 'postgres':
      return resolvePostgres(store);
    case 'apicurio-2':
    case 'apicurio-3':
      return resolveRegistry(store);
  }
}

function resolveDynamoDb(store: Extract<CheckedStore, { readonly kind: 'dynamodb' }>): StoreConfig {
  const { kind, table, region, endpoint, requestTimeout, key, value, ttl, leaveOut, writes, segments } = store;
  return {
    kind,
    table,
    region,
    endpoint: endpoint ?? null,
    requestTimeoutMs: requestTimeout ?? null,
    key: { ...key, sort: key.sort ?? null },
    value,
    ttl: ttl ?? null,
    leaveOut,
    writes,
    segments,
    reservedPrefix: store.reservedPrefix ?? null,
  };
}

function resolveEtcd({ endpoints, tls, auth, requestTimeout }: CheckedEtcd) {
  return {
    endpoints,
    tls: tls === undefined ? null : resolveTls(tls),
    auth: auth === undefined ? null : resolveAuth(auth),
    requestTimeoutMs: requestTimeout ?? null,
  };
}

function resolveConsul(store: CheckedConsul) {
  const { endpoints, tls, flags, lock, requestTimeout = null, transactionSize = null } = store;
  const { token = null, datacenter = null, namespace = null, partition = null } = store;
  const { flagsFrom = null, reservedPrefix = null } = store;
  const where = { endpoints, tls: tls === undefined ? null : resolveTls(tls), token, datacenter, namespace, partition };
  const limits = { transactionBytes: transactionSize, requestTimeoutMs: requestTimeout };
  return { ...where, flags, lock, flagsFrom, reservedPrefix, ...limits };
}

function resolvePostgres(store: Extract<CheckedStore, { readonly kind: 'postgres' }>): PostgresConfig {
  const { tls, auth, schema = null, statementTimeout = null, readTimeout = null, ...rest } = store;
  return {
    ...rest,
    auth: resolveAuth(auth),
    tls: tls === undefined ? null : resolveTls(tls),
    schema,
    statementTimeoutMs: statementTimeout,
    readTimeoutMs: readTimeout,
  };
}

function resolveTls(tls: NonNullable<CheckedEtcd['tls']>): TlsConfig {
  const { ca = null, cert = null, key = null, serverName = null } = tls;
  return { ca, cert, key, serverName };
}

function resolveAuth({ user, password }: { user: string | SecretReference; password: SecretReference }): AuthConfig {
  return { user, password };
}

function resolveReplicate(replicate: NonNullable<CheckedMigration['replicate']>): ReplicateConfig {
  const { freeze, pauseMax: pauseMaxMs, requestLife: requestLifeMs, instances } = replicate;
  const whoActs = instances === undefined ? {} : { instances };
  return { freeze: resolveFreeze(freeze), pauseMaxMs, requestLifeMs, ...whoActs };
}

function resolveFreeze(freeze: NonNullable<CheckedMigration['replicate']>['freeze']): FreezeConfig {
  if (freeze === 'person') return { kind: 'person' };
  if ('command' in freeze) return { kind: 'command', run: freeze.command };
  return { kind: 'key', ...freeze.switch };
}

function resolveMigration(migration: CheckedMigration, stores: CheckedConfig['stores']): MigrationConfig {
  const { source, target, strategy, after, rules, limits, plan, sensitive, review } = migration;
  const { onConflict, prune, guards, keepBefore } = migration;
  const hidesSource = strategy === 'dual-read' && migration.switch?.form === undefined;
  return {
    source,
    // Whatever is in the target would hide the source's records from applications; unless they wrote it, by the guide.
    target: { ...target, requireEmpty: target.requireEmpty ?? (hidesSource ? 'prefix' : null) },
    strategy,
    ...(migration.replicate === undefined ? {} : { replicate: resolveReplicate(migration.replicate) }),
    after,
    ...(migration.reads === undefined ? {} : { reads: migration.reads }),
    ...resolveOnline(migration, stores),
    rules,
    onConflict,
    prune,
    guards,
    keepBefore,
    backup: migration.backup ?? null,
    limits: { workers: limits.workers, chunkKeys: limits.chunkKeys, chunkBytes: limits.chunkSize },
    runLimits: {
      ratePerSecond: limits.rate ?? null,
      targetP99Ms: limits.targetP99 ?? null,
      sourceP99Ms: limits.sourceP99 ?? null,
      deadLettersMax: limits.deadLettersMax,
      functions: limits.functions,
    },
    plan: { maxAgeMs: plan.maxAge },
    sensitive,
    review,
  };
}

/** Nothing but for `dual-read`; that it is complete there, references have checked (online-references.ts). */
function resolveOnline(
  { strategy, switch: place, instances }: CheckedMigration,
  stores: CheckedConfig['stores'],
): Pick<MigrationConfig, 'online'> {
  if (strategy !== 'dual-read' || place === undefined || instances === undefined) return {};
  const { min: instancesMin, barrierTimeout: barrierTimeoutMs, requestLife: requestLifeMs } = instances;
  const key = place.key ?? ('store' in place ? defaultSwitchKey(stores[place.store]?.kind) : null);
  const online = { switch: { ...place, key }, instancesMin, barrierTimeoutMs, requestLifeMs };
  if (place.form === undefined) return { online };
  // Each barrier lasts for the life of a request there, and is given up no sooner.
  return { online: { ...online, barrierTimeoutMs: barrierTimeoutMs + requestLifeMs, followedBy: 'time' } };
}

const defaultSwitchKey = (kind: StoreConfig['kind'] | undefined): string =>
  kind === 'etcd-v2' ? '/_keyferry/switch' : '_keyferry/switch';
