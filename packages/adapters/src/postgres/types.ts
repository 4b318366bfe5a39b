/**
 * What becomes of a value of each type: of a column on its way into a key or into a JSON member, and back.
 *
 *     json, jsonb       the JSON itself; NULL is told from a JSON null by leaving the member out
 *     bytea             a string, \x and hexadecimal digits
 *     arrays            a JSON array; one that does not count from 1, or holds JSON, is a string in PostgreSQL's own form
 *     everything else   as to_json writes it: numbers with all their digits, true and false, strings
 *
 * The session decides how dates and numbers are written, and session.ts fixes that. What is read back goes through the
 * type's own input, and a record is written only if it would be read again with the same bytes (chunk-writer.ts), so no
 * form that is not in this table can change a value unnoticed.
 */
import { quoteText } from './sql.ts';

export interface Column {
  readonly name: string;
  /** As PostgreSQL names the type, without a length; of a domain, what it rests on. */
  readonly type: string;
  /** With its length and the like, and a domain by its own name: what a value is cast to. */
  readonly declared: string;
  readonly isArray: boolean;
  readonly notNull: boolean;
  /** Filled in by the server when an insert leaves it out. */
  readonly hasDefault: boolean;
  /** Made from other columns: nobody can write it. */
  readonly isGenerated: boolean;
}

export const isJson = ({ type }: Pick<Column, 'type'>): boolean => type === 'json' || type === 'jsonb';

/** SQL of the text that a column has in a key; NULL stays NULL. `raw`: as bytes, for the rest of a key. */
export function keyTextSql(column: Column, reference: string): string {
  if (column.type === 'bytea') return `encode(${reference}, 'hex')`;
  return `(${reference})::text`;
}

/** Types whose text holds neither `/` nor `%`, so that there is nothing to escape. */
export const plainKeyTypes: ReadonlySet<string> = new Set([
  'smallint',
  'integer',
  'bigint',
  'numeric',
  'real',
  'double precision',
  'uuid',
  'boolean',
  'bytea',
  'date',
  'oid',
]);

/** What a key's text must look like to be one that a column of the type can have. Others are looked up by nobody. */
export const keyForms: Readonly<Record<string, RegExp>> = {
  smallint: /^(?:0|-?[1-9]\d{0,4})$/,
  integer: /^(?:0|-?[1-9]\d{0,9})$/,
  bigint: /^(?:0|-?[1-9]\d{0,18})$/,
  uuid: /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/,
  boolean: /^(?:true|false)$/,
  text: /^/,
  'character varying': /^/,
  bytea: /^(?:[0-9a-f]{2})*$/,
};

const integerLimits: Readonly<Record<string, bigint>> = { smallint: 2n ** 15n, integer: 2n ** 31n, bigint: 2n ** 63n };

/** Whether a column of this type can have this text in a key. Only for types that a target's key may have. */
export function isKeyText({ type }: Column, text: string): boolean {
  if (keyForms[type]?.test(text) !== true) return false;
  const limit = integerLimits[type];
  if (limit === undefined) return true;
  const number = BigInt(text);
  return number >= -limit && number < limit;
}

/** SQL of a JSON text for a member, in quotes and all; NULL only for JSON columns, whose member is left out then. */
export function memberSql(column: Column, reference: string): string {
  // What stands around a json value says nothing, and would not come back from inside another one.
  if (isJson(column)) return `btrim((${reference})::text, E' \\t\\r\\n')`;
  if (column.isArray) {
    const own = `to_json((${reference})::text)::text`;
    if (/^jsonb?\[\]$/.test(column.type)) return `coalesce(${own}, 'null')`;
    return `coalesce(CASE WHEN left((${reference})::text, 1) = '[' THEN ${own} ELSE to_json(${reference})::text END, 'null')`;
  }
  // A type may have a cast to json of its own (hstore has); its input reads the text that its output wrote.
  if (!jsonScalars.has(column.type)) return `coalesce(to_json((${reference})::text)::text, 'null')`;
  return `coalesce(to_json(${reference})::text, 'null')`;
}

const jsonScalars: ReadonlySet<string> = new Set([
  'smallint',
  'integer',
  'bigint',
  'numeric',
  'real',
  'double precision',
  'boolean',
  'text',
  'character varying',
  'date',
  'timestamp without time zone',
  'timestamp with time zone',
  'uuid',
]);

/** SQL of an array type's or a scalar's value out of the JSON member of its name; `json` is SQL of the object. */
export function fromMemberSql(column: Column, json: string, populated: string): string {
  return isJson(column) ? `(${json} -> ${quoteText(column.name)})::${column.declared}` : populated;
}
