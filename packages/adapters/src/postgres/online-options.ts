/** What the stores of an application have in common, as it opens them: source and target. */
import type { TableMapping } from './catalog.ts';
import { OnlineRows } from './online-rows.ts';
import { Sessions, type PostgresConnectionOptions } from './session.ts';
import { Tables } from './tables.ts';

export interface PostgresRowsOptions extends Omit<PostgresConnectionOptions, 'readTimeoutMs'> {
  /** As in the store's configuration. Each is a table that can be written, with a unique index on the columns of its key. */
  readonly tables: readonly TableMapping[];
  /** Where keyferry's own tables are; `keyferry` by default. */
  readonly schema?: string | undefined;
  /** For one statement. Default 5,000: an operation is up to ten of them, so keep it well below the client's `requestLifeMs`. */
  readonly statementTimeoutMs?: number | undefined;
}

const defaultOnlineTimeoutMs = 5000;

export function rowsOf(options: PostgresRowsOptions): OnlineRows {
  const { name: store, tables, statementTimeoutMs = defaultOnlineTimeoutMs } = options;
  const sessions = new Sessions({ ...options, statementTimeoutMs });
  return new OnlineRows(store, sessions, new Tables(store, tables, true));
}
