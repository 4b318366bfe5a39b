/** Wiring of the switch that applications follow under strategy `replicate`. */
import { invariant, type PrimarySwitch } from '@keyferry/core';
import { planConfig } from './config/digest.ts';
import type { ResolvedConfig, StoreConfig, SwitchPlaceConfig } from './config/resolved-config.ts';
import { systemClock } from './environment/system-clock.ts';
import { shortPath } from './short-path.ts';
import { consulOptions, networkOptions, postgresConnection, tableOptions, type StoreContext } from './wire-options.ts';

/**
 * The switch alone: for whoever only looks where applications are led. Null: a program or a person leads them.
 * @throws {KeyferryError} `config.unknown-migration`, `config.secret-missing`
 */
export async function wirePrimarySwitch(
  config: ResolvedConfig,
  migration: string,
  options: Pick<StoreContext, 'redactor' | 'env'>,
): Promise<PrimarySwitch | null> {
  const { settings, stores } = planConfig(config, migration);
  const freeze = settings.replicate?.freeze;
  if (freeze?.kind !== 'key') return null;
  const { directory } = config;
  const nowMs = (): number => systemClock.nowMs();
  const storeOf = (name: string): StoreConfig => {
    const store = stores[name];
    invariant(store !== undefined, `a checked configuration has no store ${name}`);
    return store;
  };
  return await openPrimary(freeze, storeOf, { ...options, migration, directory, settings, nowMs });
}

export async function openPrimary(
  place: SwitchPlaceConfig,
  storeOf: (name: string) => StoreConfig,
  context: StoreContext,
): Promise<PrimarySwitch> {
  if ('dynamodb' in place) {
    const { openDynamoDbPrimarySwitch } = await import('./state/dynamodb/index.ts');
    return openDynamoDbPrimarySwitch(tableOptions(place));
  }
  const { store: name, key: asked } = place;
  const [store, key] = [storeOf(name), asked ?? undefined];
  switch (store.kind) {
    case 'etcd-v2': {
      const { openEtcdV2PrimarySwitch } = await import('./etcd-v2/index.ts');
      return openEtcdV2PrimarySwitch({ name, key, ...(await networkOptions(store, context)) });
    }
    case 'etcd-v3': {
      const { openEtcdV3PrimarySwitch } = await import('./etcd-v3/index.ts');
      return openEtcdV3PrimarySwitch({ name, key, ...(await networkOptions(store, context)) });
    }
    case 'consul': {
      const { openConsulPrimarySwitch } = await import('./consul/index.ts');
      return openConsulPrimarySwitch({ name, key, ...(await consulOptions(store, context)) });
    }
    case 'postgres': {
      const { openPostgresPrimarySwitch } = await import('./postgres/index.ts');
      return openPostgresPrimarySwitch({ name, key, ...(await postgresConnection(store, context)) });
    }
    case 'sqlite': {
      const { openSqlitePrimarySwitch } = await import('./sqlite/index.ts');
      return await openSqlitePrimarySwitch({ name, key, file: shortPath(context.directory, store.file) });
    }
    default:
      invariant(false, `a checked configuration has a switch in a store of kind ${store.kind}`);
  }
}
