/**
 * Backups before the first write: what the configuration demands of both stores, made by the stores themselves, found whole,
 * and remembered in the state with the attempt, so that a resume makes none again and the way back can name them.
 *
 *     plan holds ─► backups ─► state: applying, with them ─► the target is written to
 *
 * Rollback does not need them: it goes by what was written and kept. They are for what it cannot do: a target that was
 * damaged otherwise, records of which no image was kept, a source that was changed since.
 */
import {
  instantText,
  type MigrationSpec,
  type MigrationState,
  type PlannedBackup,
  type StoreBackup,
  type TakenBackup,
} from '@keyferry/core';
import type { Engine } from './migration.ts';

type Demanded = PlannedBackup & { readonly backup: StoreBackup };

/** In the order in which they are made. */
function demanded(engine: Engine, spec: MigrationSpec): readonly Demanded[] {
  const sides = [
    { side: 'source', store: spec.sourceStore, backup: engine.source.backup },
    { side: 'target', store: spec.targetStore, backup: engine.target.backup },
  ] as const;
  return sides.flatMap(({ side, store, backup }) =>
    backup === undefined ? [] : [{ side, store, what: backup.what, into: backup.into, backup }],
  );
}

/** For the plan; undefined where none is demanded. */
export function plannedBackups(engine: Engine, spec: MigrationSpec): readonly PlannedBackup[] | undefined {
  const planned = demanded(engine, spec).map(({ backup: _makesIt, ...rest }) => rest);
  return planned.length === 0 ? undefined : planned;
}

/** @throws {KeyferryError} `backup.failed` */
export async function takeBackups(engine: Engine, spec: MigrationSpec, run: string): Promise<readonly TakenBackup[]> {
  const taken: TakenBackup[] = [];
  for (const { side, store, what, backup } of demanded(engine, spec)) {
    // The run's own id: one that died after it was made leaves a file behind, and none is ever written over.
    const made = await backup.take(`${spec.migration}-${run}-${side}`);
    const record = { side, store, what, ...made, takenAt: instantText(engine.clock.nowMs()) };
    engine.host.emit({ code: 'backup.taken', data: record });
    taken.push(record);
  }
  return taken;
}

/** Those of earlier attempts that rollback would undo too stay: the oldest is what was there before all of them. */
export function withBackups(
  before: MigrationState | null,
  startsAfresh: boolean,
  taken: readonly TakenBackup[],
): Pick<MigrationState, 'backups'> {
  const backups = [...(startsAfresh ? [] : (before?.backups ?? [])), ...taken];
  return backups.length === 0 ? {} : { backups };
}
