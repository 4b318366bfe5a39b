/** The epoch of a migration in the target: raised, and held against what the state says. */
import {
  compareFences,
  fenceToText,
  KeyferryError,
  type Fence,
  type MigrationId,
  type MigrationSpec,
} from '@keyferry/core';
import type { Engine } from './migration.ts';
import { withRetry } from './retry.ts';

/** @throws {KeyferryError} `epoch.lost` when the target holds another epoch, or none any more. */
export function assertSameEpoch(migration: MigrationId, expected: Fence, found: Fence | null): void {
  if (found !== null && compareFences(found, expected) === 0) return;
  throw new KeyferryError('epoch.lost', {
    migration,
    expected: fenceToText(expected),
    found: found === null ? 'gone' : fenceToText(found),
  });
}

/**
 * Raises the target's epoch to `epoch`; it being there already is what a repeat finds.
 * @throws {KeyferryError} `epoch.lost` when a higher one is there.
 */
export async function ensureEpoch(engine: Engine, spec: MigrationSpec, epoch: Fence): Promise<void> {
  const control = engine.target.control(spec.migration);
  const raised = await withRetry(engine, 'raise epoch', () => control.raiseEpoch(epoch));
  if (raised.kind === 'refused') assertSameEpoch(spec.migration, epoch, raised.current);
}

/**
 * Asked before anything is changed: has a run with another state started a later attempt here? A lower epoch, or none,
 * is what a start that died before it raised its own leaves behind.
 * @throws {KeyferryError} `epoch.lost`
 */
export async function assertNotOvertaken(engine: Engine, spec: MigrationSpec, expected: Fence): Promise<void> {
  const control = engine.target.control(spec.migration);
  const found = await withRetry(engine, 'epoch', () => control.readEpoch());
  if (found !== null && found.attempt > expected.attempt) assertSameEpoch(spec.migration, expected, found);
}
