/**
 * The format of a table: an item of its own says which one its keys are of, and each item carries it too. A newer one
 * is refused: its items may lie where this keyferry does not look, and "nothing there" would start everything anew.
 */
import { KeyferryError } from '@keyferry/core';
import type { Connection, Item } from './connection.ts';
import { format, tableKey } from './keys.ts';

/** @throws {KeyferryError} `state.newer`, `state.table-missing`, `state.unusable` for a table of something else */
export async function assertTableFormat(connection: Connection): Promise<void> {
  const item = await connection.get(tableKey);
  if (item !== null) formatOf(item, connection.where);
}

/** Says in the table which format it is of, if it does not yet. May be repeated. @throws {KeyferryError} `state.newer` */
export async function ensureTableFormat(connection: Connection): Promise<void> {
  const { pk, sk } = tableKey;
  const result = await connection.write({
    put: { pk: { S: pk }, sk: { S: sk }, format: { N: String(format) } },
    when: { ConditionExpression: 'attribute_not_exists(#pk)', ExpressionAttributeNames: { '#pk': 'pk' } },
  });
  if (result.kind === 'refused' && result.found !== null) formatOf(result.found, connection.where);
}

/** @throws {KeyferryError} `state.newer`; `state.unusable` for an item that is not ours */
export function formatOf(item: Item, where: string): number {
  const found = Number(item['format']?.N);
  if (found > format) throw new KeyferryError('state.newer', { where, found: String(found), known: String(format) });
  if (found >= 1) return found;
  throw new KeyferryError('state.unusable', { where, detail: 'it holds items of something else' });
}
