/**
 * The rows of a plan that may change a record only at the version that was reviewed: overwrites and deletes.
 *
 *     plan file ──registerGuards──► state, in pages by chunk ──readGuards──► the worker of the chunk
 *
 * What a write expects comes from here and never from a look at the target: a fresh look would make whatever is there
 * now the planned version. Any worker anywhere finds them, without the plan file. A chunk's rows are no more than its
 * keys, so they are held in memory while it is worked on.
 */
import {
  guardedCount,
  keyFromJson,
  KeyferryError,
  type ChunkId,
  type GuardRow,
  type Key,
  type PlannedChange,
  type PlannedChunk,
  type Version,
} from '@keyferry/core';
import type { Environment } from './migration.ts';
import { withRetry } from './retry.ts';
import { writeItem } from './state-items.ts';

/** Rows of one state item, and characters of their keys, so that a backend's limit of an item is kept. */
const pageRowsMax = 500;
const pageKeyBytesMax = 150_000;

const pageId = (chunk: ChunkId, page: number): string => `${chunk}/${String(page).padStart(6, '0')}`;

/** @param rows of the chunk, ascending, those of other actions among them */
export async function registerGuards(
  env: Environment,
  scope: string,
  { chunk }: PlannedChunk,
  rows: readonly PlannedChange[],
): Promise<void> {
  let page = 0;
  let gathered: GuardRow[] = [];
  let keyBytes = 0;
  const flush = async (): Promise<void> => {
    await writeItem(env, 'guards', scope, pageId(chunk, page), { chunk, rows: gathered }, 'absent');
    page += 1;
    [gathered, keyBytes] = [[], 0];
  };
  for (const { action, targetKey, target } of rows) {
    if ((action !== 'overwrite' && action !== 'delete') || target === null) continue;
    const size = keyFromJson(targetKey).length;
    if (gathered.length === pageRowsMax || (gathered.length > 0 && keyBytes + size > pageKeyBytesMax)) await flush();
    gathered.push({ targetKey, action, version: target.version });
    keyBytes += size;
  }
  if (gathered.length > 0) await flush();
}

/** @throws {KeyferryError} `state.conflict` when the state does not hold all rows that the plan has. */
export async function readGuards(env: Environment, scope: string, planned: PlannedChunk): Promise<ChunkGuards> {
  const { chunk, actions } = planned;
  const total = guardedCount(actions);
  const rows: GuardRow[] = [];
  for (let page = 0; rows.length < total; page += 1) {
    const id = pageId(chunk, page);
    const entry = await withRetry(env, `state guards ${id}`, () => env.state.read('guards', scope, id));
    if (entry === null) throw new KeyferryError('state.conflict', { what: `guards ${id}` });
    rows.push(...entry.item.rows);
  }
  return new ChunkGuards(rows);
}

export interface Guard {
  readonly key: Key;
  readonly action: GuardRow['action'];
  readonly version: Version;
}

/** Rows taken in ascending order of their keys, each at most once. */
export class ChunkGuards {
  private readonly rows: readonly GuardRow[];
  private next = 0;

  constructor(rows: readonly GuardRow[]) {
    this.rows = rows;
  }

  /** Passes by the rows up to a key, itself included. */
  passTo(key: Key): void {
    for (let row = this.peek(); row !== null && row.key <= key; row = this.peek()) this.next += 1;
  }

  /** Whether there is none behind those that were taken. */
  get areDone(): boolean {
    return this.next >= this.rows.length;
  }

  /** The row of a key; `nextDelete` has passed those before it. */
  at(key: Key): Guard | null {
    const row = this.peek();
    if (row === null || row.key !== key) return null;
    this.next += 1;
    return row;
  }

  /** The next row that deletes a key, if there is one up to `key` (null: to the end); overwrites are passed by. */
  nextDelete(key: Key | null, isIncluded: boolean): Guard | null {
    for (let row = this.peek(); row !== null; row = this.peek()) {
      if (key !== null && (isIncluded ? row.key > key : row.key >= key)) return null;
      this.next += 1;
      if (row.action === 'delete') return row;
    }
    return null;
  }

  /** Those of some keys alone, without what is to be deleted. */
  overwritesOf(keys: ReadonlySet<Key>): ChunkGuards {
    const rows = this.rows.filter(
      ({ action, targetKey }) => action === 'overwrite' && keys.has(keyFromJson(targetKey)),
    );
    return new ChunkGuards(rows);
  }

  private peek(): Guard | null {
    const row = this.rows[this.next];
    if (row === undefined) return null;
    return { key: keyFromJson(row.targetKey), action: row.action, version: row.version as Version };
  }
}
