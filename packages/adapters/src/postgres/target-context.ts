/** What the parts of a target share. */
import type { TargetCapabilities } from '@keyferry/core';
import type { Sessions } from './session.ts';
import type { ServerTables, Tables } from './tables.ts';

export interface PostgresTarget {
  readonly store: string;
  readonly sessions: Sessions;
  readonly tables: Tables;
  readonly capabilities: TargetCapabilities;
  readonly schema: string;
  /** The tables as the server has them, asked once. */
  load(): Promise<ServerTables>;
}
