/** Fences and the epoch as keyferry's own tables hold them. */
import { compareFences, KeyferryError, type Fence } from '@keyferry/core';
import type { ControlContext } from './control-tables.ts';
import type { Session } from './session.ts';

/** Of the first row that a statement returns; null: it returns none. */
export async function readFence(session: Session, sql: string, parameters: readonly string[]): Promise<Fence | null> {
  const { rows } = await session.query<{ readonly attempt: string; readonly token: string }>(sql, [...parameters]);
  const [row] = rows;
  return row === undefined ? null : { attempt: Number(row.attempt), token: Number(row.token) };
}

/** @param lock such as FOR SHARE: it stays what it is until the transaction ends */
export function readEpoch(session: Session, { tables, migration }: ControlContext, lock = ''): Promise<Fence | null> {
  return readFence(session, `SELECT attempt, token FROM ${tables.epochs} WHERE migration = $1 ${lock}`, [migration]);
}

/** It stays what it is until the transaction ends. @throws {KeyferryError} `fence.lost` */
export async function assertEpoch(session: Session, context: ControlContext, epoch: Fence): Promise<void> {
  if (!sameFence(await readEpoch(session, context, 'FOR SHARE'), epoch)) {
    throw new KeyferryError('fence.lost', { chunk: `all of ${context.migration}` });
  }
}

export function sameFence(held: Fence | null, wanted: Fence): boolean {
  return held !== null && compareFences(held, wanted) === 0;
}
