/** Who puts rows in the order of their keys. */
import type { Client } from 'pg';

/** auto: the server where an index has them so, else keyferry. */
export type RowOrder = 'auto' | 'server' | 'local';

const sortNode = /^[\s>-]*(?:Incremental )?Sort$/;

/**
 * Whether the server's own plan of an ordered SELECT has a sort in it. A query of the store's may sort for its own ends: then
 * keyferry sorts once more than is needed.
 */
export async function serverWouldSort(client: Client, ordered: string): Promise<boolean> {
  const { rows } = await client.query<{ readonly 'QUERY PLAN': string }>(`EXPLAIN (COSTS false) ${ordered}`);
  return rows.some((row) => sortNode.test(row['QUERY PLAN']));
}
