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
  /** The source's own key, where the rules gave the record another one; absent: `key` is that. */
  readonly sourceKey?: Key;
  /** The rules gave it a key from which their inverse does not lead back. */
  readonly oneWay?: true;
  /** The token of the state in which the record came to be (etcd v2: createdIndex), where a source says so. */
  readonly created?: Version | undefined;
}

/** A record with some of its fields changed. Not by spreading it: those of a packed page have no fields of their own. */
export function changedRecord(record: StoredRecord, changes: Partial<StoredRecord>): StoredRecord {
  const { key, value, version, expiresAtMs, sourceKey, oneWay, created } = record;
  return {
    key,
    value,
    version,
    expiresAtMs,
    ...(sourceKey === undefined ? {} : { sourceKey }),
    ...(oneWay === undefined ? {} : { oneWay }),
    ...(created === undefined ? {} : { created }),
    ...changes,
  };
}

/** The key of a record in its source. */
export const sourceKeyOf = ({ key, sourceKey }: Pick<StoredRecord, 'key' | 'sourceKey'>): Key => sourceKey ?? key;

/** Why something in a source is not carried over. Counted and printed in the plan, each under its own line. */
export type NotCarriedReason =
  | 'dir.with-children'
  | 'dir.empty'
  | 'ttl.expired'
  | 'key.hidden'
  | 'key.not-text'
  | 'lock.held'
  | 'flags.set'
  | 'item.unmapped'
  | 'rule.excluded'
  | 'rule.dropped';

export interface NotCarried {
  readonly key: Key;
  readonly reason: NotCarriedReason;
  /** What is wrong with this one, where the reason alone does not say it; holds no value. */
  readonly detail?: string;
}

/** Why the rules find no place in the target for a record. */
export type UnplacedReason = 'rule.failed' | 'key.collision' | 'key.outside-prefix';

/**
 * What the rules find no place for in the target: one record that a rule cannot be applied to or that would leave the
 * target's prefix, or all that would get one and the same key. It blocks a plan; met later, it is a dead letter.
 */
export interface Unplaced {
  /** Where scans and chunks meet it: for a collision the key that all of them would get, else the one before the rules. */
  readonly key: Key;
  readonly reason: UnplacedReason;
  /** Keys in the source, the first few of `count`. */
  readonly sourceKeys: readonly Key[];
  readonly count: number;
  readonly bytes: number;
  /** For people; holds no value. */
  readonly detail: string;
}

/** `records` strictly ascending by bytes, and above those of the page before. A page may hold no record at all. */
export interface RecordPage {
  readonly records: readonly StoredRecord[];
  readonly notCarried: readonly NotCarried[];
  /** In pages of an image under rules, and of a source whose own form has keys that are none (rows of a table). */
  readonly unplaced?: readonly Unplaced[];
}

/** Without a value: a key that is to be deleted. */
export function recordBytes(record: { readonly key: Key; readonly value?: Uint8Array }): number {
  return record.key.length + (record.value?.length ?? 0);
}
