/**
 * The tables of a store as the server has them, asked once and when first needed; and which row of which table a key means.
 *
 * Whether a record can be a row is asked of every record of a plan, so what can be told without the server is told here;
 * the rest is for the server itself, when the record is written (chunk-writer.ts).
 */
import { isUtf8 } from 'node:buffer';
import { keyForDisplay, keyToBytes, type Key, type StoredRecord } from '@keyferry/core';
import { assertWritable, resolveTable, unsupported, type ResolvedTable, type TableMapping } from './catalog.ts';
import { columnText, parseKey } from './key-template.ts';
import type { Session } from './session.ts';
import { isJson, isKeyText, type Column } from './types.ts';

/** A row by the columns of its key, as texts that go into SQL; those of bytes in hexadecimal digits. */
export interface Located {
  readonly table: ResolvedTable;
  readonly columns: readonly string[];
}

export interface ServerTables {
  readonly tables: readonly ResolvedTable[];
  /** Names of those that the server does not have. */
  readonly missing: readonly string[];
  readonly serverIsUtf8: boolean;
}

export class Tables {
  private readonly store: string;
  private readonly mappings: readonly TableMapping[];
  private readonly isTarget: boolean;
  private known: ServerTables | null = null;

  /** @param isTarget whether keyferry must be able to write to them */
  constructor(store: string, mappings: readonly TableMapping[], isTarget: boolean) {
    this.store = store;
    this.mappings = mappings;
    this.isTarget = isTarget;
  }

  /** @throws {KeyferryError} `store.unsupported`: a table does not fit its mapping, or one of several is missing */
  async load(session: Session): Promise<ServerTables> {
    if (this.known !== null) return this.known;
    const { rows } = await session.query<{ readonly encoding: string }>(
      "SELECT current_setting('server_encoding') AS encoding",
    );
    const encoding = rows[0]?.encoding ?? '';
    if (encoding === 'SQL_ASCII') {
      throw unsupported(this.store, 'its encoding is SQL_ASCII, so no text in it is known to be text');
    }
    const tables: ResolvedTable[] = [];
    const missing: string[] = [];
    for (const [nth, mapping] of this.mappings.entries()) {
      const table = await resolveTable(session, this.store, mapping, nth);
      if (table !== null) tables.push(table);
      else if ('table' in mapping.from) missing.push(mapping.from.table);
    }
    if (missing.length > 0 && (tables.length > 0 || this.isTarget)) {
      throw unsupported(this.store, `there is no table ${missing.join(', ')}, or its schema is not open to the user`);
    }
    if (this.isTarget) for (const table of tables) await assertWritable(session, this.store, table);
    const known = { tables, missing, serverIsUtf8: encoding === 'UTF8' };
    // Tables that are not there yet may come; those that are there stay what they are.
    if (missing.length === 0) this.known = known;
    return known;
  }

  /** Null: no row of a target's tables can have the key. Only once the tables were loaded. */
  locate(key: Key): Located | null {
    const located = this.find(key);
    return typeof located === 'string' ? null : located;
  }

  /** Why a record can be no row, as the remainder of a sentence; null: only the server can tell. */
  unfit({ key, value }: Pick<StoredRecord, 'key' | 'value'>): string | null {
    if (key === ('' as Key)) return 'the key is empty';
    if (this.known === null) {
      const fits = this.mappings.some(({ key: template }) => parseKey(template, key) !== null);
      return fits ? null : 'the key is that of no table';
    }
    const located = this.find(key);
    return typeof located === 'string' ? located : unfitValue(located.table, value);
  }

  private find(key: Key): Located | string {
    const found: Located[] = [];
    let why = 'the key is that of no table';
    for (const table of this.known?.tables ?? []) {
      const bytes = parseKey(table.mapping.key, key);
      if (bytes === null) continue;
      const columns = keyColumnTexts(table, bytes);
      if (typeof columns === 'string') why = columns;
      else found.push({ table, columns });
    }
    const [only, ...others] = found;
    if (only === undefined) return why;
    if (others.length > 0)
      return `the key is that of several tables, ${found.map(({ table }) => table.label).join(', ')}`;
    return only;
  }
}

function keyColumnTexts(table: ResolvedTable, bytes: readonly Key[]): readonly string[] | string {
  const columns: string[] = [];
  for (const [nth, column] of table.keyColumns.entries()) {
    const part = bytes[nth] ?? ('' as Key);
    const isRest = nth === bytes.length - 1 && table.mapping.key.parts.at(-1)?.kind === 'rest';
    if (column.type === 'bytea' && isRest) {
      columns.push(Buffer.from(keyToBytes(part)).toString('hex'));
      continue;
    }
    const text = columnText(part);
    if (text === null || !isKeyText(column, text)) return `the key holds no ${column.type} for column ${column.name}`;
    columns.push(text);
  }
  return columns;
}

function unfitValue(table: ResolvedTable, value: Uint8Array): string | null {
  const { mapping, valueColumns } = table;
  const [column] = valueColumns;
  if (mapping.value !== 'row') {
    if (column === undefined || column.type === 'bytea') return null;
    if (!isText(value)) return 'the value is no text';
    return isJson(column) && parsed(value) === undefined ? 'the value is no JSON' : null;
  }
  const object = isText(value) ? parsed(value) : undefined;
  if (typeof object !== 'object' || object === null || Array.isArray(object)) return 'the value is no JSON object';
  return unfitMembers(object, valueColumns);
}

function unfitMembers(object: object, columns: readonly Column[]): string | null {
  for (const name of Object.keys(object)) {
    if (!columns.some((column) => column.name === name)) {
      return `the value has a member ${JSON.stringify(keyForDisplay(name as Key))} that no column holds`;
    }
  }
  const lacking = columns.find((column) => !isJson(column) && !Object.hasOwn(object, column.name));
  return lacking === undefined ? null : `the value has no member for column ${lacking.name}`;
}

const isText = (value: Uint8Array): boolean => isUtf8(value) && !value.includes(0);

function parsed(value: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString('utf8')) as unknown;
  } catch {
    return undefined; // that it cannot be parsed is the answer
  }
}
