/**
 * The attributes of an item as one text, and back: DynamoDB's own JSON, made canonical so that equal attributes are
 * equal bytes.
 *
 *     { price: 12.5, tags: {"b", "a"} }   ⇄   {"price":{"N":"12.5"},"tags":{"SS":["a","b"]}}
 *
 * Names of attributes and of map members, and the members of sets, are in the order of their UTF-8 bytes; binaries are in
 * base64; there is no white space. Types stand beside the values, so nothing is lost: a number stays a number of up to 38
 * digits, a set stays a set. Reading accepts this one form and no other, because an item that comes back in another form
 * than it was written would look like a change.
 */
import type { AttributeValue } from '@aws-sdk/client-dynamodb';
import { compareKeys, keyFromText } from '@keyferry/core';

export type Attributes = Readonly<Record<string, AttributeValue>>;

/** Deeper than this DynamoDB refuses an item (developer guide, "Nested attributes": 32). */
const depthMax = 32;

export function textOfAttributes(attributes: Attributes): string {
  return objectText(attributes);
}

function objectText(members: Attributes): string {
  const names = Object.keys(members).toSorted(byUtf8);
  return `{${names.map((name) => `${JSON.stringify(name)}:${textOf(members[name] as AttributeValue)}`).join()}}`;
}

function textOf(value: AttributeValue): string {
  if (value.S !== undefined) return `{"S":${JSON.stringify(value.S)}}`;
  if (value.N !== undefined) return `{"N":${JSON.stringify(value.N)}}`;
  if (value.B !== undefined) return `{"B":"${base64(value.B)}"}`;
  if (value.BOOL !== undefined) return `{"BOOL":${value.BOOL}}`;
  if (value.NULL !== undefined) return '{"NULL":true}';
  if (value.M !== undefined) return `{"M":${objectText(value.M)}}`;
  if (value.L !== undefined) return `{"L":[${value.L.map(textOf).join()}]}`;
  if (value.SS !== undefined) return `{"SS":${JSON.stringify(value.SS.toSorted(byUtf8))}}`;
  if (value.NS !== undefined) return `{"NS":${JSON.stringify(value.NS.toSorted(byUtf8))}}`;
  if (value.BS !== undefined) return `{"BS":${JSON.stringify(value.BS.map(base64).toSorted(byUtf8))}}`;
  // A type that came after this version: its name alone, so that nobody takes it for an empty value.
  return JSON.stringify({ $unknown: value.$unknown?.[0] ?? '' });
}

/** Null: the bytes are no attributes in the form that `textOfAttributes` writes. */
export function attributesOfText(bytes: Uint8Array): Attributes | null {
  let text: string;
  let parsed: unknown;
  try {
    text = decoder.decode(bytes);
    parsed = JSON.parse(text);
  } catch {
    return null; // what is no UTF-8 or no JSON is no item either
  }
  const members = membersOf(parsed, 0);
  return members !== null && objectText(members) === text ? members : null;
}

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

function membersOf(parsed: unknown, depth: number): Record<string, AttributeValue> | null {
  if (!isObject(parsed) || depth > depthMax) return null;
  const members: Record<string, AttributeValue> = {};
  for (const [name, each] of Object.entries(parsed)) {
    const value = valueOf(each, depth);
    if (value === null) return null;
    // `__proto__` is a name like any other here.
    Object.defineProperty(members, name, { value, enumerable: true, writable: true, configurable: true });
  }
  return members;
}

function valueOf(parsed: unknown, depth: number): AttributeValue | null {
  if (!isObject(parsed)) return null;
  const [entry, ...others] = Object.entries(parsed);
  if (entry === undefined || others.length > 0) return null;
  const [type, value] = entry;
  switch (type) {
    case 'S':
      return typeof value === 'string' ? { S: value } : null;
    case 'N':
      return isNumber(value) ? { N: value } : null;
    case 'B':
      return typeof value === 'string' ? { B: Buffer.from(value, 'base64') } : null;
    case 'BOOL':
      return typeof value === 'boolean' ? { BOOL: value } : null;
    case 'NULL':
      return value === true ? { NULL: true } : null;
    case 'M': {
      const M = membersOf(value, depth + 1);
      return M === null ? null : { M };
    }
    case 'L': {
      if (!Array.isArray(value) || depth >= depthMax) return null;
      const L = value.map((each) => valueOf(each, depth + 1));
      return L.every((each) => each !== null) ? { L } : null;
    }
    case 'SS':
      return isSet(value, (each) => typeof each === 'string') ? { SS: value } : null;
    case 'NS':
      return isSet(value, isNumber) ? { NS: value } : null;
    case 'BS':
      return isSet(value, (each) => typeof each === 'string')
        ? { BS: value.map((each) => Buffer.from(each, 'base64')) }
        : null;
    default:
      return null;
  }
}

/** DynamoDB has no empty sets, and none with the same member twice. */
function isSet(value: unknown, isMember: (each: unknown) => boolean): value is string[] {
  return Array.isArray(value) && value.length > 0 && value.every(isMember) && new Set(value).size === value.length;
}

/** As DynamoDB gives numbers back: no plus, no leading or trailing zeros, at most 38 digits; large ones with an exponent. */
function isNumber(value: unknown): value is string {
  if (typeof value !== 'string') return false;
  const match = /^-?(0|[1-9]\d*)(?:\.(\d*[1-9]))?(?:E[+-]?[1-9]\d{0,2})?$/.exec(value);
  if (match === null || value === '-0') return false;
  const [, whole = '', fraction = ''] = match;
  return `${whole}${fraction}`.replace(/^0+/, '').replace(/0+$/, '').length <= 38;
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const base64 = (bytes: Uint8Array): string =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64');

const byUtf8 = (a: string, b: string): number => compareKeys(keyFromText(a), keyFromText(b));

/**
 * What an item takes of its 400 KB (developer guide, "DynamoDB item sizes and formats"): names and values in UTF-8, a
 * number at most a byte for two digits and two more, a list or map three bytes and one for each member.
 */
export function attributesBytes(attributes: Attributes): number {
  return Object.entries(attributes).reduce((sum, [name, value]) => sum + Buffer.byteLength(name) + bytesOf(value), 0);
}

function bytesOf(value: AttributeValue): number {
  if (value.S !== undefined) return Buffer.byteLength(value.S);
  if (value.N !== undefined) return numberBytes(value.N);
  if (value.B !== undefined) return value.B.byteLength;
  if (value.SS !== undefined) return value.SS.reduce((sum, each) => sum + Buffer.byteLength(each), 0);
  if (value.NS !== undefined) return value.NS.reduce((sum, each) => sum + numberBytes(each), 0);
  if (value.BS !== undefined) return value.BS.reduce((sum, each) => sum + each.byteLength, 0);
  if (value.L !== undefined) return value.L.reduce((sum, each) => sum + 1 + bytesOf(each), 3);
  if (value.M !== undefined) return 3 + Object.keys(value.M).length + attributesBytes(value.M);
  return 1;
}

const numberBytes = (digits: string): number => Math.ceil(digits.length / 2) + 2;
