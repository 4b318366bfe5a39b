/**
 * What a user lacks to write to tables and to keyferry's own beside them, found before anything is begun: a way back that turns
 * out to be closed while applications are held would be found too late.
 */
import type { ResolvedTable } from './catalog.ts';
import { controlTableNames } from './control-tables.ts';
import type { Session } from './session.ts';
import { quoteName } from './sql.ts';

/** As the statements that would grant it; null: nothing. */
export async function lackingToWrite(
  session: Session,
  schema: string,
  tables: readonly ResolvedTable[],
): Promise<string | null> {
  const lacks: string[] = [];
  const user = await userName(session);
  for (const { sql, oid, writable } of tables) {
    const { rows } = await session.query<{ readonly right: string }>(
      `SELECT DISTINCT p.p AS right FROM unnest(ARRAY['SELECT', 'INSERT', 'UPDATE']) AS p(p), pg_attribute a
         WHERE a.attrelid = $1 AND a.attname = ANY($2::text[]) AND NOT has_column_privilege(a.attrelid, a.attnum, p.p)
       UNION ALL SELECT 'DELETE' WHERE NOT has_table_privilege($1::oid, 'DELETE')`,
      [oid, writable.map(({ name }) => name)],
    );
    const rights = rows.map(({ right }) => right);
    if (rights.length > 0) lacks.push(`GRANT ${rights.join(', ')} ON ${sql} TO ${user}`);
  }
  lacks.push(...(await lackingForOwnTables(session, schema, user)));
  return lacks.length === 0 ? null : `its user lacks   ${lacks.join(';   ')}`;
}

async function lackingForOwnTables(session: Session, schema: string, user: string): Promise<readonly string[]> {
  const { rows } = await session.query<{
    readonly exists: boolean;
    readonly may: boolean;
    readonly mayMake: boolean;
    readonly made: number;
    readonly open: number;
  }>(
    `SELECT n.oid IS NOT NULL AS exists,
       coalesce(has_schema_privilege(n.oid, 'USAGE'), has_database_privilege(current_database(), 'CREATE')) AS may,
       coalesce(has_schema_privilege(n.oid, 'CREATE'), true) AS "mayMake", count(c.oid)::int AS made,
       count(c.oid) FILTER (WHERE has_table_privilege(c.oid, 'SELECT') AND has_table_privilege(c.oid, 'INSERT')
         AND has_table_privilege(c.oid, 'UPDATE') AND has_table_privilege(c.oid, 'DELETE'))::int AS open
     FROM (SELECT 1) AS one LEFT JOIN pg_namespace n ON n.nspname = $1
       LEFT JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = ANY($2::text[]) AND c.relkind = 'r'
     GROUP BY n.oid`,
    [schema, controlTableNames],
  );
  const { exists = false, may = false, mayMake = false, made = 0, open = 0 } = rows[0] ?? {};
  const name = quoteName(schema);
  if (!exists) return may ? [] : [`CREATE SCHEMA ${name} AUTHORIZATION ${user}`];
  if (!may) return [`GRANT USAGE ON SCHEMA ${name} TO ${user}`];
  if (open < made) return [`GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA ${name} TO ${user}`];
  return mayMake || made === controlTableNames.length ? [] : [`GRANT CREATE ON SCHEMA ${name} TO ${user}`];
}

async function userName(session: Session): Promise<string> {
  const { rows } = await session.query<{ readonly name: string }>('SELECT quote_ident(current_user) AS name');
  return rows[0]?.name ?? '';
}
