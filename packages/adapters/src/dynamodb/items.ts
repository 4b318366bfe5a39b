/**
 * Items of the table as what they are to keyferry, and records as items.
 *
 * A version is a digest of the whole item, left-out attributes included: DynamoDB has no version of its own. It changes
 * with every change; only an item that comes back exactly as it was is taken for the same one. An attribute that an
 * application sets anew with each write (a revision, a time) makes that impossible.
 */
import { createHash } from 'node:crypto';
import type { AttributeValue } from '@aws-sdk/client-dynamodb';
import { invariant, keyFromText, type Key, type StoredRecord, type Version } from '@keyferry/core';
import { textOfAttributes, type Attributes } from './item-text.ts';
import {
  keyAttributes,
  keyOfParts,
  partsOfItem,
  partsOfKey,
  tombstoneAttribute,
  valueAttributes,
  type KeyParts,
  type Mapping,
} from './mapping.ts';

export type Found =
  | { readonly kind: 'record'; readonly record: StoredRecord }
  /** Its time is over; DynamoDB takes it away within days. */
  | { readonly kind: 'expired'; readonly key: Key }
  | { readonly kind: 'tombstone'; readonly key: Key }
  /** Not in the form that the store's mapping has for a record. `mayBeAnothers`: another item can have the same key. */
  | {
      readonly kind: 'unmapped';
      readonly key: Key;
      readonly version: Version;
      readonly why: string;
      readonly mayBeAnothers: boolean;
    }
  /** One of keyferry's own. */
  | { readonly kind: 'own' };

export class Items {
  readonly mapping: Mapping;
  readonly reservedPrefix: Key;

  constructor(mapping: Mapping, reservedPrefix: Key) {
    this.mapping = mapping;
    this.reservedPrefix = reservedPrefix;
  }

  find(item: Attributes, nowMs: number): Found {
    const { mapping } = this;
    const parts = partsOfItem(mapping, item);
    invariant(parts !== null, 'an item has keys of other types than its table');
    if (parts.hash.startsWith(this.reservedPrefix)) return { kind: 'own' };
    const key = keyOfParts(mapping, parts);
    if (key === null) {
      const why = `${mapping.hash.name} holds ${JSON.stringify(mapping.separator)}, which is to part it from ${mapping.sort?.name ?? ''}`;
      return { kind: 'unmapped', key: joined(mapping, parts), version: versionOf(item), why, mayBeAnothers: true };
    }
    if (item[tombstoneAttribute] !== undefined) return { kind: 'tombstone', key };
    const content = this.contentOf(item);
    if (typeof content === 'string')
      return { kind: 'unmapped', key, version: versionOf(item), why: content, mayBeAnothers: false };
    const { value, expiresAtMs } = content;
    if (expiresAtMs !== null && expiresAtMs <= nowMs) return { kind: 'expired', key };
    return { kind: 'record', record: { key, value, version: versionOf(item), expiresAtMs } };
  }

  /**
   * @param rest what the item has of attributes that are left out: a write keeps them
   * @throws {TypeError} for a key or value that was not asked about before (`unfit`)
   */
  build(
    { key, value, expiresAtMs }: Pick<StoredRecord, 'key' | 'value' | 'expiresAtMs'>,
    rest: Attributes = {},
  ): Attributes {
    const { ttl } = this.mapping;
    const parts = partsOfKey(this.mapping, key);
    const attributes = valueAttributes(this.mapping, value);
    if (typeof parts === 'string') throw new TypeError(parts);
    if (typeof attributes === 'string') throw new TypeError(attributes);
    const expiry = ttl === null || expiresAtMs === null ? {} : { [ttl]: { N: String(Math.ceil(expiresAtMs / 1000)) } };
    return { ...rest, ...attributes, ...expiry, ...keyAttributes(this.mapping, parts) };
  }

  keyOf(key: Key): Record<string, AttributeValue> | null {
    const parts = partsOfKey(this.mapping, key);
    return typeof parts === 'string' ? null : keyAttributes(this.mapping, parts);
  }

  /** Of an item or of its key alone: equal for one and the same item, and for no other. */
  nameOf(item: Attributes): string {
    const parts = partsOfItem(this.mapping, item);
    return JSON.stringify([parts?.hash, parts?.sort]);
  }

  /** Whether an item, or what has its key, is one of keyferry's own. */
  isOwn(item: Attributes): boolean {
    return partsOfItem(this.mapping, item)?.hash.startsWith(this.reservedPrefix) === true;
  }

  /** The attributes of an item that belong to no record. */
  restOf(item: Attributes): Attributes {
    return Object.fromEntries(Object.entries(item).filter(([name]) => this.mapping.leaveOut.has(name)));
  }

  /** Value and expiry, or why the item has none. */
  private contentOf(item: Attributes): Pick<StoredRecord, 'value' | 'expiresAtMs'> | string {
    const { hash, sort, value, ttl, leaveOut } = this.mapping;
    const others: Record<string, AttributeValue> = {};
    for (const [name, each] of Object.entries(item)) {
      if (name !== hash.name && name !== sort?.name && name !== ttl && !leaveOut.has(name)) others[name] = each;
    }
    const expiresAtMs = ttl === null ? null : expiryOf(item[ttl]);
    if (expiresAtMs === 'invalid') return `${ttl ?? ''} is no whole number of seconds`;
    if (value.from === 'item') return { value: Buffer.from(textOfAttributes(others)), expiresAtMs };
    const { [value.name]: held, ...unknown } = others;
    const bytes = value.type === 'string' ? held?.S : held?.B;
    if (bytes === undefined)
      return `${value.name} is ${typeText(held)}, and ${value.type === 'string' ? 'a string (S)' : 'a binary (B)'} is wanted`;
    const [other] = Object.keys(unknown).toSorted();
    if (other !== undefined) return `it also holds ${other}, which is no part of a record (leaveOut)`;
    return { value: typeof bytes === 'string' ? Buffer.from(bytes) : bytes, expiresAtMs };
  }
}

/** 32 hexadecimal digits over all that an item holds. */
export function versionOf(item: Attributes): Version {
  return createHash('sha256').update(textOfAttributes(item)).digest('hex').slice(0, 32) as Version;
}

function expiryOf(value: AttributeValue | undefined): number | null | 'invalid' {
  if (value === undefined) return null;
  const seconds = value.N === undefined ? Number.NaN : Number(value.N);
  return Number.isSafeInteger(seconds) ? seconds * 1000 : 'invalid';
}

function typeText(value: AttributeValue | undefined): string {
  const [type] = Object.keys(value ?? {});
  return type === undefined ? 'not there' : `of type ${type}`;
}

/** For counting and for people: it names no record. */
const joined = ({ separator }: Mapping, { hash, sort }: KeyParts): Key =>
  `${hash}${keyFromText(separator)}${sort ?? ''}` as Key;
