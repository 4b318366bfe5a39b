/**
 * An attempt that the target holds and the state does not know: the state was lost, or another one has it. Its epoch alone says
 * nothing, as that stays behind a rollback; it matters where something that it created is left, which a rollback takes away too.
 */
import { prefixRange, type KeyRange, type MigrationSpec, type TargetControl } from '@keyferry/core';
import type { Engine } from './migration.ts';
import { iterateWithRetry, withRetry } from './retry.ts';

/** @param known the highest one that the state knows; 0: none. @returns its number; null: there is none that matters */
export async function unknownAttempt(
  engine: Engine,
  { migration, rule }: MigrationSpec,
  known: number,
): Promise<number | null> {
  const control = engine.target.control(migration);
  const epoch = await withRetry(engine, 'epoch', () => control.readEpoch());
  if (epoch === null || epoch.attempt <= known) return null;
  const range = prefixRange(rule.targetPrefix);
  return (await hasCreated(engine, control, range)) ? epoch.attempt : null;
}

async function hasCreated(engine: Engine, control: TargetControl, range: KeyRange): Promise<boolean> {
  // To list what waits for a file would change how it waits; nobody but migrations puts anything there.
  if (engine.target.publication !== null) {
    return (await withRetry(engine, 'count target', () => engine.target.countRecords(range, 1))) > 0;
  }
  const list = () => control.listCreated(range, { pageKeysMax: 1 });
  for await (const page of iterateWithRetry(engine, 'list created', list)) if (page.length > 0) return true;
  return false;
}
