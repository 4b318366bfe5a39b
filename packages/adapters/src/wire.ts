/**
 * Wiring: from a configuration to open stores. The only place that knows which kind of store is which adapter.
 *
 *     config ──► spec for the engine (wire-spec.ts), source, target        shared by the CLI and the functions
 *            └─► state (wire-state.ts)
 *
 * Adapters are loaded when a migration names them, so that a bundle or a start-up pays for no other store's client.
 * Secrets are read here, one connection at a time, and go from the redactor straight into the adapter.
 * Source and target get a connection each, also when they are one store: closing one must not close the other.
 */
import {
  invariant,
  type MigrationSpec,
  type PrimarySwitch,
  type ReviewPolicy,
  type Scratch,
  type SourceStore,
  type TargetStore,
} from '@keyferry/core';
import { planConfig } from './config/digest.ts';
import type { Redactor } from './config/redactor.ts';
import type { PlanConfig, PlannedSettings, ResolvedConfig, StoreConfig } from './config/resolved-config.ts';
import { leaseBucketOf } from './config/rules.ts';
import { systemClock } from './environment/system-clock.ts';
import { shortPath } from './short-path.ts';
import { openPostgres } from './wire-postgres.ts';
import { wireOnline, type WiredOnline } from './wire-online.ts';
import { consulOptions, feedFileOf, networkOptions, type StoreContext } from './wire-options.ts';
import { openPrimary } from './wire-primary.ts';
import { buildSpec, loadRules } from './wire-spec.ts';

export interface WiredMigration {
  readonly spec: MigrationSpec;
  readonly source: SourceStore;
  readonly target: TargetStore;
  readonly scratch: Scratch;
  /** The stores as applications use them while they move; absent: they take no part. */
  readonly online?: WiredOnline;
  /** For `createPlanFile`. */
  readonly config: PlanConfig;
  readonly review: ReviewPolicy;
  /** Only where the strategy is `replicate`. */
  readonly replicate: WiredReplicate | null;
  /** Closes all stores. Harmless to repeat. */
  close(): Promise<void>;
}

export interface WireOptions {
  /** Learns each secret as it is read. */
  readonly redactor: Redactor;
  /** Milliseconds since 1970, by which records expire; the system's clock unless given. */
  readonly nowMs?: () => number;
  /** The environment's variables for `{ env: NAME }`; those of the process unless given. */
  readonly env?: Readonly<Record<string, string | undefined>>;
}

/**
 * Opens both stores of a migration; network stores connect with their first call.
 * @throws {KeyferryError} `config.unknown-migration`, `config.secret-missing`, `config.invalid`, `rule.module-invalid`, and
 *   what a store fails with when opened.
 */
export async function wireMigration(
  config: ResolvedConfig,
  migration: string,
  options: WireOptions,
): Promise<WiredMigration> {
  const { settings, stores } = planConfig(config, migration);
  const context: StoreContext = {
    migration,
    directory: config.directory,
    redactor: options.redactor,
    ...(options.env === undefined ? {} : { env: options.env }),
    nowMs: options.nowMs ?? (() => systemClock.nowMs()),
    settings,
  };
  const spec = buildSpec(config, migration, settings, await loadRules(config, migration, settings, options));
  const storeOf = (name: string): StoreConfig => {
    const store = stores[name];
    invariant(store !== undefined, `a checked configuration has no store ${name}`);
    return store;
  };
  const source = await openSource(settings.source.store, storeOf(settings.source.store), context);
  const opened: { close(): Promise<void> }[] = [source];
  try {
    const target = await openTarget(settings.target.store, storeOf(settings.target.store), context);
    opened.push(target);
    const replicate = await openReplicate(settings, storeOf, context, opened);
    const { diskScratch: scratch } = await import('./spool/record-spool.ts');
    const online = await wireOnline(migration, settings, stores, context);
    if (online !== null) opened.push(online);
    return {
      ...(online === null ? {} : { online }),
      scratch,
      spec,
      source,
      target,
      config: planConfig(config, migration),
      review: settings.review,
      replicate,
      close: async () => {
        await Promise.all(opened.map((each) => each.close()));
      },
    };
  } catch (error) {
    await Promise.all(opened.map((each) => each.close()));
    throw error;
  }
}

/** What strategy `replicate` needs beside source and target. */
export interface WiredReplicate {
  /** The source's store, as one that is written. */
  readonly back: TargetStore;
  /** A key that applications read; null: `told` is the switch, and the state remembers what was announced. */
  readonly primary: PrimarySwitch | null;
  readonly told: { readonly kind: 'command'; readonly run: readonly string[] } | { readonly kind: 'person' } | null;
}

/** @param opened learns each store as it is opened, so that all are closed whatever fails */
async function openReplicate(
  { replicate, source }: PlannedSettings,
  storeOf: (name: string) => StoreConfig,
  context: StoreContext,
  opened: { close(): Promise<void> }[],
): Promise<WiredReplicate | null> {
  if (replicate === undefined) return null;
  // Of a target's settings, the adapters look at the prefix alone.
  const backwards = { ...context, settings: { ...context.settings, target: { ...source, requireEmpty: null } } };
  const back = await openTarget(source.store, storeOf(source.store), backwards);
  opened.push(back);
  const { freeze } = replicate;
  if (freeze.kind === 'person') return { back, primary: null, told: freeze };
  if (freeze.kind === 'command') {
    const [program = '', ...rest] = freeze.run;
    // As in a shell: a name without a slash is looked for, a path is relative to the file.
    const path = shortPath(context.directory, program);
    const run = [program.includes('/') ? (path.includes('/') ? path : `./${path}`) : program, ...rest];
    return { back, primary: null, told: { kind: 'command', run } };
  }
  const primary = await openPrimary(freeze, storeOf, context);
  opened.push(primary);
  return { back, primary, told: null };
}

async function openSource(name: string, store: StoreConfig, context: StoreContext): Promise<SourceStore> {
  const { nowMs, directory, settings } = context;
  switch (store.kind) {
    case 'etcd-v2': {
      const { openEtcdV2Store } = await import('./etcd-v2/index.ts');
      return openEtcdV2Store({
        name,
        nowMs,
        prefix: settings.source.prefix,
        ...(await networkOptions(store, context)),
      });
    }
    case 'etcd-v2-datadir': {
      const { openEtcdV2DatadirStore } = await import('./etcd-v2-datadir/index.ts');
      const dataDir = shortPath(directory, store.dataDir);
      const walDir = store.walDir === null ? null : shortPath(directory, store.walDir);
      const otherMembers = store.members.map((member) => ({
        dataDir: shortPath(directory, member.dataDir),
        walDir: member.walDir === null ? null : shortPath(directory, member.walDir),
      }));
      const { upTo, hidden } = store;
      return openEtcdV2DatadirStore({
        name,
        nowMs,
        dataDir,
        walDir,
        otherMembers,
        upTo,
        hidden,
        backupInto: backupInto(context, 'source'),
      });
    }
    case 'etcd-v3':
      return await openEtcdV3(name, store, context);
    case 'etcd-v3-snapshot': {
      const { openEtcdV3SnapshotStore } = await import('./etcd-v3-snapshot/index.ts');
      return openEtcdV3SnapshotStore({ name, nowMs, file: shortPath(directory, store.path) });
    }
    case 'consul': {
      const { openConsulSource } = await import('./consul/index.ts');
      const { prefix } = settings.source;
      const feedFile = feedFileOf(directory, context.migration, 'source');
      return openConsulSource({
        name,
        nowMs,
        prefix,
        feedFile,
        flags: store.flags,
        ...(await consulOptions(store, context)),
      });
    }
    case 'dynamodb':
      return await openDynamoDb(name, store, context, settings.source.prefix);
    case 'sqlite': {
      const { openSqliteStore } = await import('./sqlite/index.ts');
      // What follows it has the file log its changes; nothing else writes a source.
      const readOnly = settings.replicate === undefined;
      return await openSqliteStore({ name, nowMs, readOnly, mustExist: true, ...sqliteOptions(store, directory) });
    }
    case 'file': {
      const { openFileStore } = await import('./file/index.ts');
      return openFileStore({ name, nowMs, ...fileOptions(store, directory) });
    }
    case 'postgres':
      return await openPostgres(name, store, context, 'source');
    case 'apicurio-2':
    case 'apicurio-3':
      invariant(false, `a checked configuration has a source of kind ${store.kind}`);
  }
}

async function openTarget(name: string, store: StoreConfig, context: StoreContext): Promise<TargetStore> {
  switch (store.kind) {
    case 'etcd-v3':
      return await openEtcdV3(name, store, context, backupInto(context, 'target'));
    case 'consul': {
      const { openConsulTarget } = await import('./consul/index.ts');
      const { prefix } = context.settings.target;
      const feedFile = feedFileOf(context.directory, context.migration, 'target');
      const options = { name, nowMs: context.nowMs, prefix, feedFile, ...(await consulOptions(store, context)) };
      const { lock, transactionBytes } = store;
      return openConsulTarget({ ...options, lock, transactionBytes: transactionBytes ?? undefined });
    }
    case 'dynamodb':
      return await openDynamoDb(name, store, context, context.settings.target.prefix);
    case 'sqlite': {
      const { openSqliteStore } = await import('./sqlite/index.ts');
      return await openSqliteStore({ name, nowMs: context.nowMs, ...sqliteOptions(store, context.directory) });
    }
    case 'etcd-v3-snapshot': {
      const { openEtcdV3SnapshotTarget } = await import('./etcd-v3-snapshot/index.ts');
      const { nowMs, directory, settings } = context;
      const file = shortPath(directory, store.path);
      const leaseBucketMs = leaseBucketOf(settings.rules);
      return openEtcdV3SnapshotTarget({ name, nowMs, file, leaseBucketMs, firstRevision: store.firstRevision });
    }
    case 'file': {
      const { openFileTarget } = await import('./file/index.ts');
      return openFileTarget({ name, nowMs: context.nowMs, ...fileOptions(store, context.directory) });
    }
    case 'etcd-v2': {
      const { openEtcdV2Target } = await import('./etcd-v2/index.ts');
      return openEtcdV2Target({
        name,
        nowMs: context.nowMs,
        prefix: context.settings.target.prefix,
        reservedPrefix: store.reservedPrefix ?? undefined,
        ...(await networkOptions(store, context)),
      });
    }
    case 'postgres':
      return await openPostgres(name, store, context, 'target');
    case 'etcd-v2-datadir':
    case 'apicurio-2':
    case 'apicurio-3':
      invariant(false, `a checked configuration has a target of kind ${store.kind}`);
  }
}

async function openEtcdV3(
  name: string,
  store: Extract<StoreConfig, { readonly kind: 'etcd-v3' }>,
  context: StoreContext,
  into?: string,
): Promise<SourceStore & TargetStore> {
  const { openEtcdV3Store } = await import('./etcd-v3/index.ts');
  const { nowMs, settings } = context;
  return openEtcdV3Store({
    name,
    nowMs,
    backupInto: into,
    reservedPrefix: store.reservedPrefix ?? undefined,
    leaseBucketMs: leaseBucketOf(settings.rules),
    ...(await networkOptions(store, context)),
  });
}

async function openDynamoDb(
  name: string,
  store: Extract<StoreConfig, { readonly kind: 'dynamodb' }>,
  { nowMs }: StoreContext,
  prefix: string,
): Promise<SourceStore & TargetStore> {
  const { openDynamoDbStore } = await import('./dynamodb/index.ts');
  const { table, region, endpoint, requestTimeoutMs, key, value, ttl, leaveOut, writes, segments } = store;
  return openDynamoDbStore({
    name,
    nowMs,
    table,
    region,
    endpoint: endpoint ?? undefined,
    requestTimeoutMs: requestTimeoutMs ?? undefined,
    mapping: {
      hash: { name: key.hash, type: key.hashType },
      sort: key.sort === null ? null : { name: key.sort, type: key.sortType },
      separator: key.separator,
      value: value.from === 'item' ? { from: 'item' } : { from: 'attribute', name: value.attribute, type: value.type },
      ttl,
      leaveOut: new Set(leaveOut),
    },
    writes,
    segments,
    reservedPrefix: store.reservedPrefix ?? undefined,
    prefix,
  });
}

function sqliteOptions(store: Extract<StoreConfig, { readonly kind: 'sqlite' }>, directory: string) {
  const file = shortPath(directory, store.file);
  return { file, ...(store.table === null ? {} : { table: store.table }) };
}

function fileOptions(store: Extract<StoreConfig, { readonly kind: 'file' }>, directory: string) {
  return { file: shortPath(directory, store.path), format: store.format };
}

/** Where a backup of that side goes; undefined: none is demanded. */
function backupInto({ settings: { backup }, directory }: StoreContext, side: 'source' | 'target'): string | undefined {
  return backup?.[side] === true ? shortPath(directory, backup.into) : undefined;
}
