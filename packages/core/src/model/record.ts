/**
 * Records and pages: what a scan hands over. The page, not the record, is the unit of every port.
 *
 * Nothing is silent: what a store holds but cannot be a record (a directory, say) travels in `notCarried` with its
 * reason, so that scanned = records + not carried.
 */
import type { Brand } from './brand.ts';
import type { Key } from './key.ts';

/** A store's own token for one state of one record (etcd v3: mod_revision). Compared for equality, never ordered. */
export type Version = Brand<string, 'Version'>;

export interface StoredRecord {
  readonly key: Key;
  readonly value: Uint8Array;
  readonly version: Version;
  /** Milliseconds since 1970 at which the store drops the record; null: never. */
  readonly expiresAtMs: number | null;
}

/** Why something in a source is not carried over. Counted and printed in the plan, each under its own line. */
export type NotCarriedReason = 'dir.with-children' | 'dir.empty' | 'ttl.expired' | 'key.hidden' | 'rule.excluded';

export interface NotCarried {
  readonly key: Key;
  readonly reason: NotCarriedReason;
}

/** `records` strictly ascending by bytes, and above those of the page before. A page may hold no record at all. */
export interface RecordPage {
  readonly records: readonly StoredRecord[];
  readonly notCarried: readonly NotCarried[];
}

/** Without a value: a key that is to be deleted. */
export function recordBytes(record: { readonly key: Key; readonly value?: Uint8Array }): number {
  return record.key.length + (record.value?.length ?? 0);
}
