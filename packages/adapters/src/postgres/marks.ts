/**
 * Marks, deletions and tombstones: what keyferry remembers of single keys, beside the rows themselves.
 *
 * A mark holds the version that the migration wrote: a row is its own, and untouched since, if and only if both agree.
 */
import { keyFromBytes, type Key, type RecordOrigin, type Version } from '@keyferry/core';
import { byteaArray } from './arrays.ts';
import { keysParameter, type ControlContext } from './control-tables.ts';
import type { Session } from './session.ts';

export interface Mark {
  readonly attempt: number;
  readonly version: string;
  /** False: it was written over something. */
  readonly created: boolean;
}

export interface KeyMemory {
  readonly mark: Mark | null;
  /** The attempt that deleted the key last. */
  readonly deletedBy: number | null;
  readonly tombstoned: boolean;
}

const nothing: KeyMemory = { mark: null, deletedBy: null, tombstoned: false };

/** For keys of which nothing is known there is no entry; see `memoryOf`. */
export async function readMemory(
  session: Session,
  { migration, tables }: ControlContext,
  keys: readonly Key[],
): Promise<ReadonlyMap<Key, KeyMemory>> {
  const { rows } = await session.query<{
    readonly key: Buffer;
    readonly attempt: string | null;
    readonly version: string | null;
    readonly created: boolean | null;
    readonly deleted: string | null;
    readonly tombstoned: boolean;
  }>(
    `SELECT i.key, m.attempt, m.version, m.created, d.attempt AS deleted, t.key IS NOT NULL AS tombstoned
     FROM unnest($2::bytea[]) AS i(key)
       LEFT JOIN ${tables.marks} m ON m.migration = $1 AND m.key = i.key
       LEFT JOIN ${tables.deletions} d ON d.migration = $1 AND d.key = i.key
       LEFT JOIN ${tables.tombstones} t ON t.migration = $1 AND t.key = i.key
     WHERE m.key IS NOT NULL OR d.key IS NOT NULL OR t.key IS NOT NULL`,
    [migration, keysParameter(keys)],
  );
  return new Map(
    rows.map(({ key, attempt, version, created, deleted, tombstoned }) => [
      keyFromBytes(key),
      {
        mark: version === null ? null : { attempt: Number(attempt), version, created: created === true },
        deletedBy: deleted === null ? null : Number(deleted),
        tombstoned,
      },
    ]),
  );
}

export function memoryOf(memory: ReadonlyMap<Key, KeyMemory>, key: Key): KeyMemory {
  return memory.get(key) ?? nothing;
}

/** Whose a row of this version is. */
export function originOf({ mark }: KeyMemory, version: string): RecordOrigin {
  if (mark?.version !== version) return 'foreign';
  return mark.created ? 'created' : 'overwritten';
}

export async function writeMarks(
  session: Session,
  { migration, tables }: ControlContext,
  attempt: number,
  version: string,
  marks: readonly { readonly key: Key; readonly created: boolean }[],
): Promise<void> {
  if (marks.length === 0) return;
  await session.query(
    `INSERT INTO ${tables.marks} SELECT $1, key, $2, $3, created FROM unnest($4::bytea[], $5::boolean[]) AS i(key, created)
     ON CONFLICT (migration, key) DO UPDATE
       SET attempt = excluded.attempt, version = excluded.version, created = excluded.created`,
    [migration, attempt, version, keysParameter(marks.map(({ key }) => key)), marks.map(({ created }) => created)],
  );
}

/** Each counts as long as the row has the version that it came with. */
export async function writeOrigins(
  session: Session,
  { migration, tables }: ControlContext,
  version: string,
  origins: readonly { readonly key: Key; readonly origin: Version }[],
): Promise<void> {
  if (origins.length === 0) return;
  await session.query(
    `INSERT INTO ${tables.origins} SELECT $1, key, $2, origin FROM unnest($3::bytea[], $4::text[]) AS i(key, origin)
     ON CONFLICT (migration, key) DO UPDATE SET version = excluded.version, origin = excluded.origin`,
    [migration, version, keysParameter(origins.map(({ key }) => key)), origins.map(({ origin }) => origin)],
  );
}

export async function writeDeletions(
  session: Session,
  { migration, tables }: ControlContext,
  attempt: number,
  keys: readonly Key[],
): Promise<void> {
  if (keys.length === 0) return;
  await session.query(
    `INSERT INTO ${tables.deletions} SELECT $1, key, $2 FROM unnest($3::bytea[]) AS i(key)
     ON CONFLICT (migration, key) DO UPDATE SET attempt = excluded.attempt`,
    [migration, attempt, keysParameter(keys)],
  );
}

export async function dropMemory(
  session: Session,
  { migration, tables }: ControlContext,
  of: 'marks' | 'deletions',
  keys: readonly Uint8Array[],
): Promise<void> {
  if (keys.length === 0) return;
  await session.query(`DELETE FROM ${tables[of]} WHERE migration = $1 AND key = ANY($2::bytea[])`, [
    migration,
    byteaArray(keys),
  ]);
}
