/** keyferry's own schema: made with the first write, by keyferry if it may, else beforehand by whoever runs the same SQL. */
import { quoteName } from './sql.ts';
import type { Session } from './session.ts';

/** What makes the schema and tables in it. Harmless to repeat, as `tables` has to be. */
export function withSchema(schema: string, tables: string): string {
  return `CREATE SCHEMA IF NOT EXISTS ${quoteName(schema)};
${tables}`;
}

/** Two who make the same schema at once would get in each other's way: one waits for the other. */
export async function makeOwnTables(session: Session, schema: string, tables: string): Promise<void> {
  await session.query('BEGIN');
  await session.query('SELECT pg_advisory_xact_lock(hashtextextended($1, 0))', [`keyferry ${schema}`]);
  const { rows } = await session.query('SELECT 1 FROM pg_namespace WHERE nspname = $1', [schema]);
  // Asking for a schema that is there takes the right to make one all the same, which nobody needs to have.
  await session.query(rows.length === 0 ? withSchema(schema, tables) : tables);
  await session.query('COMMIT');
}
