/**
 * What a contract suite must know about a store to hold it to the ports: how to open an empty one, how an application
 * writes to it, and what it cannot do by nature. Everything else the suites take from the store's own capabilities.
 */
import {
  compareKeys,
  prefixRange,
  type Key,
  type KeyRange,
  type MigrationId,
  type ReadableStore,
  type SourceStore,
  type StateStore,
  type StoredRecord,
  type TargetStore,
} from '../../src/index.ts';

/** A record as an application writes it. */
export interface SeedRecord {
  readonly key: Key;
  readonly value: Uint8Array;
  /** Time to live from the moment of writing; null: for ever. */
  readonly ttlMs: number | null;
}

export type Change = { readonly put: SeedRecord } | { readonly delete: Key };

export interface StoreFixture<S extends ReadableStore> {
  readonly store: S;
  /** Writes with the store's own means, as an application does, one after another. Absent: nobody can (a file). */
  readonly change?: (changes: readonly Change[]) => Promise<void>;
  /** The same data opened once more, as another process would. `close` closes these too. Absent: it cannot be. */
  readonly openAnother?: () => Promise<S>;
  /** Moves the store's clock on. Absent: it is a real one, and nobody waits for it. */
  readonly passTime?: (ms: number) => Promise<void>;
  close(): Promise<void>;
}

export interface TargetFixture extends StoreFixture<TargetStore> {
  readonly change: (changes: readonly Change[]) => Promise<void>;
  /**
   * Deletes a key as an application does under dual-read: with a tombstone. Called only once the migration has an
   * epoch. Absent: the store cannot hold tombstones.
   */
  readonly putTombstone?: (migration: MigrationId, key: Key) => Promise<void>;
}

export interface StoreTraits {
  /** Keys may be any bytes, not only UTF-8. */
  readonly binaryKeys: boolean;
  readonly binaryValues: boolean;
  /** `a` may hold a value although there is `a/b`. */
  readonly parentKeys: boolean;
  /** An expiry read back may be this far from the one written, either way: servers count in seconds. */
  readonly expiryPrecisionMs: number;
  /** Others write single records beside keyferry. False where a target is written once, as a whole. */
  readonly sharedWrites: boolean;
  /** While nobody writes, the head stays where it is. */
  readonly stillHead: boolean;
  /** Runs of each law: fresh stores with generated keys. */
  readonly lawRuns: number;
}

export const anyTraits: StoreTraits = {
  binaryKeys: true,
  binaryValues: true,
  parentKeys: true,
  expiryPrecisionMs: 0,
  sharedWrites: true,
  stillHead: true,
  lawRuns: 20,
};

interface Harness {
  /**
   * A key of this store for a name such as `app/a-b`. Names never start or end with `/` and hold no empty part; the
   * empty name stands for the start of all of them. Order and prefixes must survive: `key(name)` is `key('')` with the
   * name's UTF-8 bytes behind it, whatever the first part is (`/contract/`, say).
   */
  readonly key: (name: string) => Key;
  /** The clock by which the store's records expire. */
  readonly nowMs: () => number;
  /** Only what differs from `anyTraits`. */
  readonly traits?: Partial<StoreTraits>;
}

export interface SourceHarness extends Harness {
  /** A store that holds these records and nothing else. Called once in each test; the fixture is closed before the next. */
  readonly open: (records: readonly SeedRecord[]) => Promise<StoreFixture<SourceStore>>;
}

export interface TargetHarness extends Harness {
  /** As for a source; no trace of keyferry's own keys either. */
  readonly open: (records: readonly SeedRecord[]) => Promise<TargetFixture>;
}

export interface ReadableHarness extends Harness {
  readonly open: (records: readonly SeedRecord[]) => Promise<StoreFixture<ReadableStore>>;
}

export interface StateFixture {
  readonly store: StateStore;
  /** The same database opened once more, as another process would. `close` closes these too. */
  readonly openAnother: () => Promise<StateStore>;
  close(): Promise<void>;
}

export interface StateHarness {
  /** A store on an empty database. */
  readonly open: () => Promise<StateFixture>;
}

/** Opens, runs, closes; the test's own failure comes first. */
export async function withFixture<F extends { close(): Promise<void> }, T>(
  opened: Promise<F>,
  body: (fixture: F) => Promise<T>,
): Promise<T> {
  const fixture = await opened;
  try {
    return await body(fixture);
  } finally {
    await fixture.close();
  }
}

export function traitsOf(harness: Pick<Harness, 'traits'>): StoreTraits {
  return { ...anyTraits, ...harness.traits };
}

/** Every key that a harness makes. */
export function rangeOf(harness: Pick<Harness, 'key'>): KeyRange {
  return prefixRange(harness.key(''));
}

const encoder = new TextEncoder();

export function bytes(text: string): Uint8Array {
  return encoder.encode(text);
}

/** A permanent record under a name, whose value is `value` or the name itself. */
export function seedOf(harness: Pick<Harness, 'key'>, name: string, value = name): SeedRecord {
  return { key: harness.key(name), value: bytes(value), ttlMs: null };
}

export function sortedByKey<T extends { readonly key: Key }>(records: readonly T[]): readonly T[] {
  return records.toSorted((a, b) => compareKeys(a.key, b.key));
}

/** Key and value alone, for comparing what was written with what was read. */
export function contentOf(records: readonly (SeedRecord | StoredRecord)[]) {
  return records.map(({ key, value }) => ({ key, value: Uint8Array.from(value) }));
}

/** The same with plain arrays: a Buffer of equal bytes is not equal to a Uint8Array, for vitest. */
export function plainRecords(records: readonly StoredRecord[]): readonly StoredRecord[] {
  return records.map((record) => ({ ...record, value: Uint8Array.from(record.value) }));
}

/** All records of a range, read through a view of its own. Sorted here if the store has no order of its own. */
export async function readAll(store: ReadableStore, range: KeyRange, pageKeysMax = 1000): Promise<StoredRecord[]> {
  const view = await store.openView(range);
  try {
    const records: StoredRecord[] = [];
    for await (const page of view.scan(range, { pageKeysMax })) records.push(...plainRecords(page.records));
    return store.capabilities.orderedScan ? records : [...sortedByKey(records)];
  } finally {
    await view.close();
  }
}
