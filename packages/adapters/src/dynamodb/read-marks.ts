/** Marks in the table, read back: those of one chunk in one attempt, or the names of all of a migration. */
import type { AttributeValue } from '@aws-sdk/client-dynamodb';
import { KeyferryError, type ChunkId } from '@keyferry/core';
import type { Connection } from './connection.ts';
import { attribute, type ControlItems } from './control-items.ts';
import { decodeMark, type MarkEntry } from './marks.ts';

type ItemKey = Record<string, AttributeValue>;

/** Marks of one request: each may be some hundred KiB. */
const marksAtOnce = 50;

/** Entries of the marks that are there, in the order of their names. */
export async function* readMarks(
  connection: Connection,
  control: ControlItems,
  keys: readonly ItemKey[],
): AsyncGenerator<readonly MarkEntry[]> {
  for (let at = 0; at < keys.length; at += marksAtOnce) {
    const asked = keys.slice(at, at + marksAtOnce);
    const found = new Map((await connection.getMany(asked)).map((item) => [control.nameOf(item), item]));
    for (const key of asked) {
      const name = control.nameOf(key);
      const body = found.get(name)?.[attribute.body]?.B;
      if (body === undefined) continue; // counted, and its transaction was never done
      const entries = decodeMark(body);
      if (entries === null) throw new KeyferryError('fence.unreadable', { store: control.store, where: name });
      yield entries;
    }
  }
}

export const chunkMarks = (control: ControlItems, chunk: ChunkId, attempt: number, count: number): readonly ItemKey[] =>
  Array.from({ length: count }, (_, i) => control.mark(chunk, attempt, i + 1));

/** Everything of a migration that lies under the names that are known. */
export interface Inventory {
  readonly fences: readonly ItemKey[];
  /** Newest first: what a rollback put back, then by attempt, and within a chunk by number. */
  readonly marks: readonly ItemKey[];
}

export async function takeInventory(connection: Connection, control: ControlItems): Promise<Inventory> {
  const registries = await connection.getMany([control.epoch(0), ...control.allChunks()]);
  const chunks = registries.flatMap((item) => item[attribute.chunks]?.SS ?? []).toSorted() as ChunkId[];
  const fences = chunks.map((chunk) => control.fence(chunk));
  const held = new Map((await connection.getMany(fences)).map((item) => [control.nameOf(item), item]));
  const counted = chunks.flatMap((chunk, i) =>
    control
      .countsOf(held.get(control.nameOf(fences[i] as ItemKey)) ?? {})
      .flatMap(({ attempt, count }) => Array.from({ length: count }, (_, n) => ({ chunk, attempt, n: n + 1 }))),
  );
  const marks = counted
    .toSorted((a, b) => b.attempt - a.attempt || b.n - a.n)
    .map(({ chunk, attempt, n }) => control.mark(chunk, attempt, n));
  const backs = Number(registries.map((item) => item[attribute.back]?.N).find((count) => count !== undefined) ?? 0);
  const back = Array.from({ length: backs }, (_, i) => control.back(backs - i));
  return { fences, marks: [...back, ...marks] };
}
