/**
 * Puts the chunks of a plan into the state, with the rows that expect a version, so that any worker anywhere can work
 * without the plan file.
 *
 * What is there already is listed and not written again: going on with an attempt costs a read for some hundred chunks.
 * Several are written at once; each chunk's own item comes last, so that whoever claims it finds the rest.
 */
import {
  guardedCount,
  newChunk,
  type MigrationId,
  type PlannedChunk,
  type PlannedChange,
  type PlanReader,
} from '@keyferry/core';
import { registerGuards } from './chunk-guards.ts';
import { assertNotStopped, type Engine } from './migration.ts';
import { RowsByChunk } from './staleness.ts';
import { attemptScope, listItems, writeItem } from './state-items.ts';

const atOnce = 16;

/** @throws {KeyferryError} `run.interrupted` once `signal` has aborted; whoever repeats it goes on. */
export async function registerChunks(
  engine: Engine,
  reader: PlanReader,
  migration: MigrationId,
  attempt: number,
  signal?: AbortSignal,
): Promise<void> {
  const scope = attemptScope(migration, attempt);
  const known = await knownChunks(engine, scope);
  if (known.size >= reader.plan.chunks) return;
  const rows = new RowsByChunk(reader.readChanges());
  const underWay = new Set<Promise<void>>();
  try {
    for await (const chunks of reader.readChunks()) {
      for (const chunk of chunks) {
        if (known.has(chunk.chunk)) continue;
        assertNotStopped(migration, signal);
        const guarded = guardedCount(chunk.actions) > 0 ? await rows.of(chunk) : [];
        const writing = register(engine, scope, chunk, guarded).finally(() => underWay.delete(writing));
        underWay.add(writing);
        writing.catch(() => undefined); // awaited below; until then it must not end the process
        if (underWay.size >= atOnce) await Promise.race(underWay);
      }
    }
    await Promise.all(underWay);
  } finally {
    await Promise.allSettled(underWay);
  }
}

async function knownChunks(engine: Engine, scope: string): Promise<ReadonlySet<string>> {
  const known = new Set<string>();
  for await (const entries of listItems(engine, 'chunk', scope)) for (const { id } of entries) known.add(id);
  return known;
}

async function register(
  engine: Engine,
  scope: string,
  chunk: PlannedChunk,
  guarded: readonly PlannedChange[],
): Promise<void> {
  await writeItem(engine, 'chunk-plan', scope, chunk.chunk, chunk, 'absent');
  if (guarded.length > 0) await registerGuards(engine, scope, chunk, guarded);
  await writeItem(engine, 'chunk', scope, chunk.chunk, newChunk(chunk.chunk), 'absent');
}
