/**
 * How items and records correspond: which attributes make the key, which the value, which the expiry.
 *
 *     table with a partition key alone      its bytes are the key
 *     table with a sort key too             partition key + separator + sort key; the first separator parts them again
 *     value from one attribute              its bytes; what else an item holds must be named in `leaveOut`
 *     value from the whole item             all attributes beside keys and expiry, as one text (item-text.ts)
 *
 * Both ways lead back to the same item, or the item is `unmapped` and the record `unfit`, each with its reason: nothing
 * is guessed at and nothing is left out unasked. README.md has the table of types.
 */
import type { AttributeValue } from '@aws-sdk/client-dynamodb';
import {
  keyFromBytes,
  keyFromText,
  keyToBytes,
  keyToText,
  type Key,
  type MigrationId,
  type StoredRecord,
} from '@keyferry/core';
import { attributesBytes, attributesOfText, type Attributes } from './item-text.ts';
import { hashBytesMax, itemBytesMax, sortBytesMax } from './limits.ts';

export type KeyType = 'string' | 'binary';

export interface KeyPart {
  readonly name: string;
  readonly type: KeyType;
}

export interface Mapping {
  readonly hash: KeyPart;
  readonly sort: KeyPart | null;
  /** Between the two parts of a key, at least one byte. Of no meaning without a sort key. */
  readonly separator: string;
  readonly value:
    { readonly from: 'attribute'; readonly name: string; readonly type: KeyType } | { readonly from: 'item' };
  /** Attribute that holds the second at which an item ends; null: none does. */
  readonly ttl: string | null;
  /** Attributes that belong to no record. */
  readonly leaveOut: ReadonlySet<string>;
}

/** Where keyferry keeps its own items, among the keys of the table. */
export const defaultReservedPrefix = '_keyferry/';

/** Of an item that stands for a deleted record: the tombstone lies in the item of its key. */
export const tombstoneAttribute = '_keyferry';
export const tombstoneOf = (migration: MigrationId): string => `tombstone/${migration}`;

/** What a TTL takes: its digits and the byte or two beside them. */
const ttlBytes = 8;

/** Key and value of the largest record; null where that depends on its attributes. */
export function recordBytesMaxOf(mapping: Mapping): number | null {
  return mapping.value.from === 'item' ? null : itemBytesMax - overheadBytesOf(mapping);
}

/** What an item takes beside the key and value of its record: names, and a TTL. */
export function overheadBytesOf({ hash, sort, value, ttl }: Mapping): number {
  const names = [hash.name, sort?.name ?? '', value.from === 'item' ? '' : value.name, ttl ?? ''];
  return names.reduce((sum, name) => sum + Buffer.byteLength(name), 0) + (ttl === null ? 0 : ttlBytes);
}

/** The parts of a record's key; null for a sort key that the table does not have. */
export interface KeyParts {
  readonly hash: Key;
  readonly sort: Key | null;
}

/** @returns why there is none, for a key that no item of the table can have */
export function partsOfKey(mapping: Mapping, key: Key): KeyParts | string {
  const { hash, sort, separator } = mapping;
  if (sort === null) return limitsOf({ hash: key, sort: null }, mapping) ?? { hash: key, sort: null };
  const between = keyFromText(separator);
  const at = key.indexOf(between);
  if (at < 0) return `the key has no ${JSON.stringify(separator)} between ${hash.name} and ${sort.name}`;
  const parts = { hash: key.slice(0, at) as Key, sort: key.slice(at + between.length) as Key };
  return limitsOf(parts, mapping) ?? parts;
}

function limitsOf({ hash, sort }: KeyParts, mapping: Mapping): string | null {
  return (
    partUnfit(hash, mapping.hash, hashBytesMax) ??
    (mapping.sort && partUnfit(sort ?? ('' as Key), mapping.sort, sortBytesMax))
  );
}

function partUnfit(part: Key, { name, type }: KeyPart, bytesMax: number): string | null {
  if (part === '') return `${name} would be empty`;
  if (part.length > bytesMax) return `${name} would be over ${bytesMax} bytes`;
  return type === 'string' && keyToText(part) === null ? `${name} is a string, and the key is not UTF-8` : null;
}

/** Null: the two parts do not lead back to themselves, because the first holds the separator. */
export function keyOfParts({ sort: sortPart, separator }: Mapping, { hash, sort }: KeyParts): Key | null {
  if (sortPart === null || sort === null) return hash;
  const between = keyFromText(separator);
  // An overlap counts too: of `a-` and `-b` with `--` between them the first separator begins one byte too early.
  const key = `${hash}${between}${sort}` as Key;
  return key.indexOf(between) === hash.length ? key : null;
}

export function keyAttributes(mapping: Mapping, { hash, sort }: KeyParts): Record<string, AttributeValue> {
  const attributes = { [mapping.hash.name]: toAttribute(hash, mapping.hash.type) };
  if (mapping.sort !== null) attributes[mapping.sort.name] = toAttribute(sort ?? ('' as Key), mapping.sort.type);
  return attributes;
}

export function partsOfItem({ hash, sort }: Mapping, item: Attributes): KeyParts | null {
  const hashPart = fromAttribute(item[hash.name], hash.type);
  const sortPart = sort === null ? null : fromAttribute(item[sort.name], sort.type);
  return hashPart === null || (sort !== null && sortPart === null) ? null : { hash: hashPart, sort: sortPart };
}

export const toAttribute = (part: Key, type: KeyType): AttributeValue =>
  type === 'string' ? { S: keyToText(part) ?? '' } : { B: keyToBytes(part) };

function fromAttribute(value: AttributeValue | undefined, type: KeyType): Key | null {
  if (type === 'string') return value?.S === undefined ? null : keyFromText(value.S);
  return value?.B === undefined ? null : keyFromBytes(value.B);
}

/** The attributes of a record's value; a reason when there are none. */
export function valueAttributes(mapping: Mapping, bytes: Uint8Array): Attributes | string {
  const { value } = mapping;
  if (value.from === 'item') {
    const attributes = attributesOfText(bytes);
    if (attributes === null) return 'the value is not the text of an item (canonical DynamoDB JSON)';
    const taken = namesTaken(mapping).find((name) => Object.hasOwn(attributes, name));
    return taken === undefined
      ? attributes
      : `the value holds an attribute ${taken}, which has another meaning in the table`;
  }
  if (value.type === 'binary') return { [value.name]: { B: bytes } };
  const text = textOrNull(bytes);
  return text === null ? `${value.name} is a string, and the value is not UTF-8` : { [value.name]: { S: text } };
}

const namesTaken = ({ hash, sort, ttl, leaveOut }: Mapping): readonly string[] => [
  hash.name,
  ...(sort === null ? [] : [sort.name]),
  ...(ttl === null ? [] : [ttl]),
  ...leaveOut,
  tombstoneAttribute,
];

/** For the planner: why no item can hold a record, as the remainder of a sentence. */
export function unfitFor(mapping: Mapping): (record: Pick<StoredRecord, 'key' | 'value'>) => string | null {
  return ({ key, value }) => {
    const parts = partsOfKey(mapping, key);
    if (typeof parts === 'string') return parts;
    const attributes = valueAttributes(mapping, value);
    if (typeof attributes === 'string') return attributes;
    if (mapping.value.from === 'attribute') return null; // recordBytesMax says it
    const bytes = attributesBytes({ ...keyAttributes(mapping, parts), ...attributes });
    return bytes + (mapping.ttl === null ? 0 : ttlBytes + mapping.ttl.length) > itemBytesMax
      ? 'the item would be over 400 KB'
      : null;
  };
}

function textOrNull(bytes: Uint8Array): string | null {
  try {
    return decoder.decode(bytes);
  } catch {
    return null; // fatal decoding is the test
  }
}

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
