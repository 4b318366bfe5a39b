/**
 * What transactions of the stream did to rows, as changes of records, in order.
 *
 *     insert            put
 *     update            put; where its key changed, a delete of the former key before it
 *     delete            delete
 *
 * A row whose key has a NULL is no record, here as in a scan. A large value that an update left as it was is not told: such a
 * row is read as it is now, and if it is gone by now, its delete comes later.
 */
import { invariant, KeyferryError, type Key, type SourceChange, type Version } from '@keyferry/core';
import type { ResolvedTable } from '../catalog.ts';
import { lookUpRows } from '../look-up.ts';
import type { Session } from '../session.ts';
import type { Tables } from '../tables.ts';
import type { RowMessage, Relation, Tuple } from './pgoutput.ts';
import { columnsNeeded, recordsOfRows, type ToldRecord, type ToldRow } from './told-rows.ts';

export interface RowChange {
  readonly message: RowMessage;
  /** As the stream described the table before it. */
  readonly relation: Relation;
  /** Number of the transaction, which is the version of what it wrote. */
  readonly transaction: string;
}

interface Pending {
  readonly table: ResolvedTable;
  readonly transaction: string;
  /** Rows to be made keys or records of, by their place among those of the table. */
  readonly before: number | null;
  readonly after: number | null;
  readonly lacksValue: boolean;
}

interface Batch {
  readonly table: ResolvedTable;
  readonly keys: ToldRow[];
  readonly records: ToldRow[];
}

export async function changesOf(
  session: Session,
  store: string,
  tables: Tables,
  known: readonly ResolvedTable[],
  rows: readonly RowChange[],
): Promise<readonly SourceChange[]> {
  const batches = new Map<ResolvedTable, Batch>();
  const pending: Pending[] = [];
  for (const row of rows) {
    const table = known.find(({ oid }) => oid === row.message.oid);
    if (table === undefined) continue; // of a publication that somebody made larger
    let batch = batches.get(table);
    if (batch === undefined) batches.set(table, (batch = { table, keys: [], records: [] }));
    pending.push(prepare(store, batch, row));
  }
  const made = new Map<ResolvedTable, Record<'keys' | 'records', ReadonlyMap<number, ToldRecord>>>();
  for (const { table, keys, records } of batches.values()) {
    made.set(table, {
      keys: await recordsOfRows(session, table, keys, false),
      records: await recordsOfRows(session, table, records, true),
    });
  }
  const changes: SourceChange[] = [];
  for (const { table, transaction, before, after, lacksValue } of pending) {
    const { keys, records } = made.get(table) ?? {};
    const former = before === null ? null : (keys?.get(before)?.key ?? null);
    // One that lacks a value was made a key of alone.
    const record = after === null ? undefined : (lacksValue ? keys : records)?.get(after);
    const key = record?.key ?? null;
    if (former !== null && former !== key) changes.push({ kind: 'delete', key: former });
    if (key === null || record === undefined) continue;
    const put = lacksValue
      ? await asItIs(session, tables, key)
      : { value: record.value ?? noBytes, version: transaction as Version };
    if (put !== null) changes.push({ kind: 'put', key, expiresAtMs: null, ...put });
  }
  return changes;
}

function prepare(store: string, batch: Batch, { message, relation, transaction }: RowChange): Pending {
  const { table, keys, records } = batch;
  const textsOf = (tuple: Tuple, value: boolean): readonly (string | null | undefined)[] =>
    columnsNeeded(table, value).map(({ name }) => {
      const at = relation.columns.indexOf(name);
      if (at === -1) throw changed(store, table, name);
      return tuple[at];
    });
  const addKey = (texts: readonly (string | null | undefined)[]): number => {
    const told = texts.every((text) => text !== undefined);
    invariant(told, () => `a key of ${table.label} that the change does not tell`);
    return keys.push({ ord: keys.length, texts }) - 1;
  };
  const { mapping, writable } = table;
  const unknown = relation.columns.find(
    (name) => !writable.some((column) => column.name === name) && !mapping.leaveOut.includes(name),
  );
  if (unknown !== undefined) throw changed(store, table, unknown);
  const former = message.kind === 'insert' ? null : message.before;
  const before = former === null ? null : addKey(textsOf(former, false));
  if (message.kind === 'delete') return { table, transaction, before, after: null, lacksValue: false };
  // What a change left out, a full identity has.
  const after = message.after.map((text, at) => (text === undefined ? (former?.[at] ?? undefined) : text));
  const texts = textsOf(after, true);
  if (texts.includes(undefined)) {
    return { table, transaction, before, after: addKey(textsOf(after, false)), lacksValue: true };
  }
  const place = records.push({ ord: records.length, texts: texts as readonly (string | null)[] }) - 1;
  return { table, transaction, before, after: place, lacksValue: false };
}

async function asItIs(session: Session, tables: Tables, key: Key) {
  const [record = null] = await lookUpRows(session, tables, [key]);
  return record && { value: record.value, version: record.version };
}

function changed(store: string, { label }: ResolvedTable, column: string): KeyferryError {
  const detail = `${label}: its column ${column} came or went since this process looked at the table; start it again`;
  return new KeyferryError('store.unsupported', { store, detail });
}

const noBytes = new Uint8Array(0);
