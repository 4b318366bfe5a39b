/**
 * Which records a v2 tree can hold. Pure: the plan asks it of every record, and each write once more.
 *
 * A key is a path: the server cleans it (a redirect to another one), so a path that would be cleaned is none. Keys and
 * values are JSON strings wherever they can be read: bytes that are not UTF-8 would come back as U+FFFD.
 */
import { keyToText, type StoredRecord } from '@keyferry/core';
import { isUtf8 } from 'node:buffer';
import { formBytes } from './form.ts';

/** The remainder of a sentence, or null when the tree can hold it. */
export function unfitForTree({ key, value }: Pick<StoredRecord, 'key' | 'value'>): string | null {
  if (!key.startsWith('/')) return 'the key does not begin with a slash';
  if (/\/(?:\/|$)/.test(key)) return 'the key has an empty part';
  if (/\/\.\.?(?:\/|$)/.test(key)) return 'the key has a part "." or ".."';
  if (keyToText(key) === null) return 'the key is not UTF-8';
  return isUtf8(value) ? null : 'the value is not UTF-8';
}

/** The same for a server, which lists no name that begins with an underscore: nobody could verify what it holds there. */
export function unfitForServer(record: Pick<StoredRecord, 'key' | 'value'>): string | null {
  if (record.key.includes('/_')) return 'a part of the key begins with "_", which no listing shows';
  const { value } = record;
  if (3 * value.length > formBytesMax && formBytes(value) > formBytesMax) return 'the value is over 10 MiB as a form';
  return unfitForTree(record);
}

/** The server takes forms of 10 MiB (Go's net/http, ParseForm); some room for the other fields. */
const formBytesMax = 10 * 1024 * 1024 - 1024;

/** The keys of all directories above a key, the nearest last. */
export function directoriesAbove<K extends string>(key: K): readonly K[] {
  const above: K[] = [];
  for (let at = key.indexOf('/', 1); at > 0; at = key.indexOf('/', at + 1)) above.push(key.slice(0, at) as K);
  return above;
}
