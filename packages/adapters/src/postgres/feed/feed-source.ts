/** What a feed of tables is read from. */
import type { Sessions } from '../session.ts';
import type { ServerTables, Tables } from '../tables.ts';

export interface FeedSource {
  readonly store: string;
  readonly database: string;
  /** Of keyferry's own tables. */
  readonly schema: string;
  readonly sessions: Sessions;
  readonly tables: Tables;
  load(): Promise<ServerTables>;
}
