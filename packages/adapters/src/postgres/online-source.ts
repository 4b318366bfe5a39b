/**
 * Tables of PostgreSQL as the source of an online migration: what an application's instance asks of them, one transaction each.
 *
 *     read    one look at the row, at a server that takes writes
 *     write   BEGIN ─► lock the row and look ─► is it as expected? ─no─► unmet
 *                          ▲                        │ yes
 *                          └─somebody inserted it── insert, update, delete ─► COMMIT
 *
 * A row's version is the transaction that wrote it (xmin); a position is what a reader sees (position.ts), so whether a
 * version came after a position can be told from the two. Rows do not end by themselves: a put with a TTL is refused, and so
 * is a value that its row would not give back with the same bytes. For watchers, see online-moves.ts.
 */
import type {
  Key,
  KeyRange,
  OnlineRecord,
  OnlineSource,
  OnlineSourceAnswer,
  OnlineSourceRequest,
  Position,
  SourceMoves,
  Version,
} from '@keyferry/core';
import { defaultSchema } from './capabilities.ts';
import { PostgresMoves } from './online-moves.ts';
import { rowsOf, type PostgresRowsOptions } from './online-options.ts';
import type { FoundRow, OnlineRows } from './online-rows.ts';
import { cameAfter } from './position.ts';

export interface PostgresOnlineOptions extends PostgresRowsOptions {
  /** The migration's name: watchers of it share an outbox. Default: changes are not told. */
  readonly migration?: string | undefined;
}

/** Connects with the first call. */
export function openPostgresOnlineSource(options: PostgresOnlineOptions): OnlineSource {
  return new PostgresOnlineSource(options);
}

type SourceWrite = Extract<OnlineSourceRequest, { kind: 'write' }>;

class PostgresOnlineSource implements OnlineSource {
  readonly role = 'source';
  readonly moves?: SourceMoves;
  private readonly rows: OnlineRows;

  constructor(options: PostgresOnlineOptions) {
    const { migration, schema = defaultSchema, database } = options;
    const rows = rowsOf(options);
    this.rows = rows;
    if (migration === undefined) return;
    const { store, sessions, tables } = rows;
    this.moves = new PostgresMoves({ store, database, schema, sessions, tables, load: () => rows.load() }, migration);
  }

  async ask(key: Key, request: OnlineSourceRequest): Promise<OnlineSourceAnswer> {
    if (request.kind === 'write') return await this.write(key, request);
    const read = await this.rows.sessions.run('reading a row', (session) => this.rows.read(session, key));
    return { kind: 'read', record: read };
  }

  list(range: KeyRange): AsyncIterable<readonly OnlineRecord[]> {
    return this.rows.list(range);
  }

  cameAfter(version: Version, position: Position): boolean {
    return cameAfter(version, position);
  }

  close(): Promise<void> {
    return this.rows.sessions.close();
  }

  private async write(key: Key, { write, expect }: SourceWrite): Promise<OnlineSourceAnswer> {
    this.rows.assertNoTtl(key, write);
    return await this.rows.sessions.transaction('writing a row', async (session): Promise<OnlineSourceAnswer> => {
      const outcome = await this.rows.write(session, key, write, (found) => isMet(expect, found));
      if (outcome.kind === 'unmet') return { kind: 'unmet', record: outcome.found };
      return { kind: 'written', version: outcome.version, previous: outcome.found };
    });
  }
}

function isMet(expect: SourceWrite['expect'], found: FoundRow | null): boolean {
  if (expect === 'any') return true;
  return expect === 'absent' ? found === null : found?.version === expect.version;
}
