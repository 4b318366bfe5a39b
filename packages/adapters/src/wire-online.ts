/**
 * Wiring of what a migration has in which applications take part: its switch, and both stores as applications use them. A
 * kind of store that cannot be one is null, and the planner says so by name.
 */
import { invariant, type OnlineSource, type OnlineTarget, type Switch } from '@keyferry/core';
import { planConfig } from './config/digest.ts';
import type {
  OnlineConfig,
  PlannedSettings,
  ResolvedConfig,
  StoreConfig,
  SwitchPlaceConfig,
} from './config/resolved-config.ts';
import { systemClock } from './environment/system-clock.ts';
import { shortPath } from './short-path.ts';
import { consulOptions, networkOptions, postgresConnection, tableOptions, type StoreContext } from './wire-options.ts';
import { postgresTables } from './wire-postgres.ts';

export interface WiredOnline {
  readonly place: Switch;
  readonly source: OnlineSource | null;
  readonly target: OnlineTarget | null;
  close(): Promise<void>;
}

type Stores = Readonly<Record<string, StoreConfig>>;

/** Null: the application takes no part. */
export async function wireOnline(
  migration: string,
  { online, source: from, target: to }: PlannedSettings,
  stores: Stores,
  context: StoreContext,
): Promise<WiredOnline | null> {
  if (online === undefined) return null;
  const place = await openFollowed(online, stores, context, true);
  const source = await openOnlineSource(from.store, migration, stores, context);
  const target = await openOnlineTarget(to.store, { migration, online, stores }, context);
  return {
    place,
    source,
    target,
    close: async () => {
      await Promise.all([place.close(), source?.close(), target?.close()]);
    },
  };
}

/**
 * The switch alone: for whoever only looks where applications stand. Null: they take no part.
 * @throws {KeyferryError} `config.unknown-migration`, `config.secret-missing`
 */
export async function wireSwitch(
  config: ResolvedConfig,
  migration: string,
  options: Pick<StoreContext, 'redactor' | 'env'>,
): Promise<Switch | null> {
  const { settings, stores } = planConfig(config, migration);
  if (settings.online === undefined) return null;
  const { directory } = config;
  const nowMs = (): number => systemClock.nowMs();
  return await openFollowed(settings.online, stores, { ...options, migration, directory, settings, nowMs }, false);
}

/** @param leads whether what is announced may be told to applications that follow a key by themselves */
async function openFollowed(
  online: OnlineConfig,
  stores: Stores,
  context: StoreContext,
  leads: boolean,
): Promise<Switch> {
  const record = await openSwitch(online, stores, context);
  const { switch: place, requestLifeMs } = online;
  if (place.form === undefined) return record;
  invariant('store' in place && place.key !== null, 'a checked configuration has the key of the guide in no store');
  const store = stores[place.store];
  invariant(store?.kind === 'etcd-v3', 'a checked configuration has the key of the guide elsewhere than in etcd v3');
  const { openEtcdV3PlainSwitch } = await import('./etcd-v3/index.ts');
  const { GuideSwitch } = await import('./switch/guide-switch.ts');
  const plain = openEtcdV3PlainSwitch({ name: place.store, key: place.key, ...(await networkOptions(store, context)) });
  return new GuideSwitch({ record, plain, requestLifeMs, clock: systemClock, leads });
}

async function openSwitch({ switch: place }: OnlineConfig, stores: Stores, context: StoreContext): Promise<Switch> {
  if ('dynamodb' in place) {
    const { openDynamoDbSwitch } = await import('./state/dynamodb/index.ts');
    return openDynamoDbSwitch(tableOptions(place));
  }
  const { store: name, key } = place;
  const store = stores[name];
  invariant(key !== null, `a resolved configuration has no key of the switch in store ${name}`);
  switch (store?.kind) {
    case 'etcd-v3': {
      const { openEtcdV3Switch } = await import('./etcd-v3/index.ts');
      return openEtcdV3Switch({ name, key, ...(await networkOptions(store, context)) });
    }
    case 'etcd-v2': {
      const { openEtcdV2Switch } = await import('./etcd-v2/index.ts');
      return openEtcdV2Switch({ name, key, ...(await networkOptions(store, context)) });
    }
    case 'consul': {
      const { openConsulSwitch } = await import('./consul/index.ts');
      return openConsulSwitch({ name, key, ...(await consulOptions(store, context)) });
    }
    case 'postgres': {
      const { openPostgresSwitch } = await import('./postgres/index.ts');
      return openPostgresSwitch({ name, key, ...(await postgresConnection(store, context)) });
    }
    case 'sqlite': {
      const { openSqliteSwitch } = await import('./sqlite/index.ts');
      return openSqliteSwitch({ name, key, file: shortPath(context.directory, store.file) });
    }
    default:
      invariant(false, `a checked configuration has its switch in store ${name}`);
  }
}

async function openOnlineSource(
  name: string,
  migration: string,
  stores: Stores,
  context: StoreContext,
): Promise<OnlineSource | null> {
  const store = stores[name];
  switch (store?.kind) {
    case 'etcd-v2': {
      const { openEtcdV2OnlineSource } = await import('./etcd-v2/index.ts');
      return openEtcdV2OnlineSource({ name, ...(await networkOptions(store, context)) });
    }
    case 'postgres': {
      const { openPostgresOnlineSource } = await import('./postgres/index.ts');
      const tables = await postgresTables(store);
      return openPostgresOnlineSource({ name, migration, tables, ...(await postgresConnection(store, context)) });
    }
    default:
      return null;
  }
}

/** Where the target itself holds the switch, it compares that with each write (SPEC R35). */
function switchKeyIn(target: string, place: SwitchPlaceConfig): { readonly switchKey?: string } {
  if (place.form !== undefined) return {}; // applications that follow by themselves compare nothing
  return 'store' in place && place.store === target && place.key !== null ? { switchKey: place.key } : {};
}

interface TargetOfMigration {
  readonly migration: string;
  readonly online: OnlineConfig;
  readonly stores: Stores;
}

async function openOnlineTarget(
  name: string,
  { migration, online, stores }: TargetOfMigration,
  context: StoreContext,
): Promise<OnlineTarget | null> {
  const store = stores[name];
  const held = switchKeyIn(name, online.switch);
  switch (store?.kind) {
    case 'etcd-v3': {
      const { openEtcdV3OnlineTarget } = await import('./etcd-v3/index.ts');
      const reservedPrefix = store.reservedPrefix ?? undefined;
      return openEtcdV3OnlineTarget({
        name,
        migration,
        reservedPrefix,
        ...held,
        ...(await networkOptions(store, context)),
      });
    }
    case 'consul': {
      const { openConsulOnlineTarget } = await import('./consul/index.ts');
      const transactionBytes = store.transactionBytes ?? undefined;
      return openConsulOnlineTarget({
        name,
        migration,
        transactionBytes,
        ...held,
        ...(await consulOptions(store, context)),
      });
    }
    case 'postgres': {
      const { openPostgresOnlineTarget } = await import('./postgres/index.ts');
      const tables = await postgresTables(store);
      return openPostgresOnlineTarget({
        name,
        migration,
        tables,
        ...held,
        ...(await postgresConnection(store, context)),
      });
    }
    default:
      return null;
  }
}
