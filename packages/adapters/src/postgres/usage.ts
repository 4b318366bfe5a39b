/** Whether anybody uses the tables of a source: ever, and at this moment. */
import { counted } from '@keyferry/core';
import type { Session } from './session.ts';
import type { ResolvedTable } from './catalog.ts';
import type { ServerTables } from './tables.ts';

/**
 * Why the store was never used, as a sentence; null: it was, or that cannot be told. Tables that only log what others do
 * (`audit`) do not count.
 */
export async function neverUsed(session: Session, { tables, missing }: ServerTables): Promise<string | null> {
  if (tables.length === 0) return `there is no table ${missing.join(', ')}`;
  const counting = tables.filter(({ mapping }) => !mapping.audit);
  for (const table of counting) if (await wasUsed(session, table)) return null;
  const labels = counting.map(({ label }) => label).join(', ');
  const isAudited = counting.length < tables.length;
  return `nothing was ever written to ${labels}${isAudited ? ', and what only logs it does not count' : ''}`;
}

/** It holds a row, or shows that it held some: by the server's counters, which an operator may have set back, or its size. */
async function wasUsed(session: Session, { sql, oid, hasTransaction }: ResolvedTable): Promise<boolean> {
  const { rows } = await session.query<{ readonly used: boolean }>(`SELECT EXISTS (SELECT 1 FROM ${sql} AS r) AS used`);
  if (rows[0]?.used === true) return true;
  if (oid === null || !hasTransaction) return false;
  const { rows: traces } = await session.query<{ readonly used: boolean }>(
    'SELECT pg_relation_size($1::oid) > 0 OR pg_stat_get_tuples_inserted($1::oid) > 0 AS used',
    [oid],
  );
  return traces[0]?.used === true;
}

/** Who has an open transaction that wrote to the tables, as a sentence; null: nobody has. */
export async function writersNow(session: Session, { tables }: ServerTables): Promise<string | null> {
  const oids = tables.flatMap(({ oid }) => oid ?? []);
  if (oids.length === 0) return null;
  const { rows } = await session.query<{ readonly count: number; readonly tables: string }>(
    `SELECT count(DISTINCT l.pid)::int AS count, string_agg(DISTINCT l.relation::regclass::text, ', ') AS tables
     FROM pg_locks l WHERE l.locktype = 'relation' AND l.relation = ANY($1::oid[]) AND l.granted
       AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
       AND l.mode IN ('RowExclusiveLock', 'ShareRowExclusiveLock', 'ExclusiveLock') AND l.pid <> pg_backend_pid()`,
    [oids],
  );
  const [found] = rows;
  if (found === undefined || found.count === 0) return null;
  return `${counted(found.count, 'open transaction has', 'open transactions have')} written to ${found.tables}`;
}
