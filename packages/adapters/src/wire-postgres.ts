/** Wiring of a PostgreSQL database as a side of a migration, and of what it keeps for the migration's tails. */
import { invariant, type FeedBacklog, type SourceStore, type TargetStore } from '@keyferry/core';
import { planConfig } from './config/digest.ts';
import type { PostgresConfig, ResolvedConfig } from './config/resolved-config.ts';
import { systemClock } from './environment/system-clock.ts';
import { postgresConnection, type StoreContext } from './wire-options.ts';
import type { TableMapping } from './postgres/index.ts';
import type { WireOptions } from './wire.ts';

export async function openPostgres(
  name: string,
  store: PostgresConfig,
  context: StoreContext,
  side: 'source' | 'target',
  feed: { readonly feedName?: string; readonly changes?: 'triggers' } = {},
): Promise<SourceStore & TargetStore> {
  const { openPostgresStore } = await import('./postgres/index.ts');
  return openPostgresStore({
    name,
    side,
    nowMs: context.nowMs,
    // Both sides may be in one database.
    feedName: `${context.migration} ${side}`,
    changes: store.changes,
    order: store.order,
    readTimeoutMs: store.readTimeoutMs ?? undefined,
    ...(await postgresConnection(store, context)),
    tables: await postgresTables(store),
    ...feed,
  });
}

/** What applications that watch a table read, whatever the store says of tails. */
async function watchFeedOf(migration: string): Promise<{ readonly feedName: string; readonly changes: 'triggers' }> {
  const { watchFeedName } = await import('./postgres/index.ts');
  return { feedName: watchFeedName(migration), changes: 'triggers' };
}

/** The tables of a store, as the adapter has them. */
export async function postgresTables({ tables }: PostgresConfig): Promise<readonly TableMapping[]> {
  const { compileKeyTemplate } = await import('./postgres/index.ts');
  return tables.map((table) => {
    const compiled = compileKeyTemplate(table.key);
    invariant(compiled.ok, `a checked configuration has the key ${table.key}`);
    return { ...table, key: compiled.template };
  });
}

/** History that a store keeps for the tails of a migration, on its own disk. */
export interface WiredBacklog {
  readonly side: 'source' | 'target';
  readonly store: string;
  /** Null: nothing is kept yet. */
  read(): Promise<FeedBacklog | null>;
  close(): Promise<void>;
}

/**
 * One for each side whose store keeps any: for tails (strategy `replicate`), or for applications that watch the source
 * (`dual-read`).
 * @throws {KeyferryError} `config.unknown-migration`, `config.secret-missing`
 */
export async function wireBacklogs(
  config: ResolvedConfig,
  migration: string,
  options: WireOptions,
): Promise<readonly WiredBacklog[]> {
  const { settings, stores } = planConfig(config, migration);
  const isWatched = settings.online !== undefined;
  if (settings.replicate === undefined && !isWatched) return [];
  const nowMs = options.nowMs ?? (() => systemClock.nowMs());
  const context: StoreContext = { ...options, migration, directory: config.directory, nowMs, settings };
  const wired: WiredBacklog[] = [];
  for (const side of isWatched ? (['source'] as const) : (['source', 'target'] as const)) {
    const { store: name } = settings[side];
    const store = stores[name];
    if (store?.kind !== 'postgres') continue;
    const watched = isWatched ? await watchFeedOf(migration) : {};
    const opened = await openPostgres(name, store, context, side, watched);
    const read = async (): Promise<FeedBacklog | null> => (await opened.feed?.backlog?.()) ?? null;
    wired.push({ side, store: name, read, close: () => opened.close() });
  }
  return wired;
}
