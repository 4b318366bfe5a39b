/**
 * Operations of a transaction, as JSON: the hot path, so they are put together as text and not as objects. A base64 value
 * needs no escaping, and an index is a number; only keys go through JSON.
 */
import { keyToText, type Key } from '@keyferry/core';
import type { StoredValue } from './value-form.ts';

/** One operation; ASCII but for its key. */
export type Operation = string;

/** Namespace and partition of the Enterprise edition, as members of each operation. */
export class Operations {
  private readonly tenancy: string;

  /** @param tenancy members such as `,"Namespace":"team"`; empty in the open edition */
  constructor(tenancy: string) {
    this.tenancy = tenancy;
  }

  get(key: Key): Operation {
    return this.operation('get', key, '');
  }

  /** All entries whose keys begin with a prefix, which is not empty; none is an answer too. */
  getTree(prefix: Key): Operation {
    return this.operation('get-tree', prefix, '');
  }

  set(key: Key, stored: StoredValue): Operation {
    return this.operation('set', key, valueMembers(stored));
  }

  /** @param index 0: the key must be absent; another: it must be at that one */
  cas(key: Key, stored: StoredValue, index: number): Operation {
    return this.operation('cas', key, `${valueMembers(stored)},"Index":${index}`);
  }

  checkIndex(key: Key, index: number): Operation {
    return this.operation('check-index', key, `,"Index":${index}`);
  }

  checkAbsent(key: Key): Operation {
    return this.operation('check-not-exists', key, '');
  }

  /** Also where the key is absent [measured, 1.8.7]: check its index before. */
  deleteAt(key: Key, index: number): Operation {
    return this.operation('delete-cas', key, `,"Index":${index}`);
  }

  delete(key: Key): Operation {
    return this.operation('delete', key, '');
  }

  deleteTree(prefix: Key): Operation {
    return this.operation('delete-tree', prefix, '');
  }

  private operation(verb: string, key: Key, members: string): Operation {
    return `{"KV":{"Verb":"${verb}","Key":${JSON.stringify(keyToText(key))}${members}${this.tenancy}}}`;
  }
}

/** What an operation does, and to which key; for what is said of one that failed. */
export function namesOf(operation: Operation): { readonly verb: string; readonly key: string } {
  const { KV } = JSON.parse(operation) as { readonly KV: { readonly Verb: string; readonly Key: string } };
  return { verb: KV.Verb, key: KV.Key };
}

/** What a body of these operations is sent as. */
export function bodyOf(operations: readonly Operation[]): Buffer {
  return Buffer.from(`[${operations.join(',')}]`, 'utf8');
}

/** Bytes of an operation in a body, with the comma before it. */
export function bytesOf(operation: Operation): number {
  return Buffer.byteLength(operation, 'utf8') + 1;
}

function valueMembers({ value, flags }: StoredValue): string {
  const base64 = Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString('base64');
  return flags === '0' ? `,"Value":"${base64}"` : `,"Value":"${base64}","Flags":${flags}`;
}

/** A value of keyferry's own. */
export function plain(value: Uint8Array): StoredValue {
  return { value, flags: '0' };
}
