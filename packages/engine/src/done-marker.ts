/** The done marker of a migration, read from its target. */
import { doneMarkerFromText, type DoneMarker, type MigrationId } from '@keyferry/core';
import type { Engine } from './migration.ts';
import { withRetry } from './retry.ts';

/** @throws {KeyferryError} `done.unreadable` */
export async function readDoneMarker(engine: Engine, migration: MigrationId): Promise<DoneMarker | null> {
  const text = await withRetry(engine, 'done marker', () => engine.target.control(migration).readDone());
  return text === null ? null : doneMarkerFromText(text, migration);
}
