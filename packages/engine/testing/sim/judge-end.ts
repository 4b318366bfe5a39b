/**
 * The end of a seed: nothing moves any more, and the target is held against what it was at first, what the
 * application did, and what the source held.
 */
import {
  bytesEqual,
  chunkId,
  keyForDisplay,
  prefixRange,
  rangeHolds,
  type Key,
  type StoredRecord,
} from '@keyferry/core';
import { rule } from './dataset.ts';
import { sourceRecords } from './judge-applied.ts';
import type { Finale } from './scenario.ts';
import type { Planned, World } from './world.ts';

export async function judgeEnd(world: World, planned: Planned, finale: Finale): Promise<void> {
  const phase = await phaseOf(world);
  judgeOwnWrites(world, phase === 'rolled-back');
  if (phase === 'rolled-back') await judgeRolledBack(world);
  const carried = phase === 'applied' || phase === 'verified' || phase === 'finalized';
  if (finale !== 'rollback' && carried) judgeNothingLost(world, planned);
  await judgeMarker(world, phase);
}

export async function phaseOf(world: World): Promise<string> {
  const entry = await world.state.read('migration', 'migrations', world.spec.migration);
  return entry?.item.phase ?? 'new';
}

const found = (record: StoredRecord | undefined, value: Uint8Array): boolean =>
  record !== undefined && bytesEqual(record.value, value);

/**
 * What the application did last to a key stands, unless a later plan saw it and overwrote or deleted it. A record that was there before, and that nobody touched, too: after a
 * rollback also one that was overwritten or deleted, unless its image was lost with the state.
 */
function judgeOwnWrites(world: World, rolledBack: boolean): void {
  const target = world.target.snapshot();
  for (const [key, action] of world.witness.appActions) {
    const { guardedChanges } = world.witness;
    const mayBeChanged =
      (!rolledBack || world.witness.isBeyondRestoring(key)) &&
      guardedChanges.some(
        (change) => change.key === key && action.kind === 'put' && found(change.before, action.value),
      );
    if (action.kind === 'put' && !found(target.get(key), action.value) && !mayBeChanged) {
      world.violate({ property: 'overwritten', detail: `the application's value of ${keyForDisplay(key)} is gone` });
    }
    if (action.kind === 'deleted' && target.has(key) && world.witness.tombstones.has(key)) {
      world.violate({ property: 'resurrected', detail: `${keyForDisplay(key)} is there, with its tombstone` });
    }
  }
  for (const [key, { value, expiresAtMs }] of world.initialTarget) {
    if (world.witness.appActions.has(key) || expiresAtMs !== null || found(target.get(key), value)) continue;
    if (!rolledBack && world.witness.guardedChanges.some((change) => change.key === key)) continue;
    if (world.witness.isBeyondRestoring(key) || world.witness.endedInItsPlace(key, world.kernel.nowMs)) continue;
    world.violate({ property: 'overwritten', detail: `${keyForDisplay(key)} was there before and is not as it was` });
  }
}

/** Each source record is in the target, or the application has decided otherwise, or its time is over. */
function judgeNothingLost(world: World, planned: Planned): void {
  const target = world.target.snapshot();
  const source = world.source.snapshot();
  for (const record of sourceRecords(planned.source)) {
    const key = world.data.map.toTarget(record.key);
    const present = target.get(key);
    const ended = record.expiresAtMs !== null && record.expiresAtMs <= world.kernel.nowMs + 60_000;
    const goneFromSource = source.get(record.key)?.version !== record.version;
    if (ended || goneFromSource || world.witness.appActions.has(key) || isKeptAsItWas(world, planned, key)) continue;
    if (world.refuses(key, record.value)) continue;
    if (!found(present, record.value)) {
      world.violate({
        property: 'lost',
        detail: `${keyForDisplay(key)} is ${present === undefined ? 'missing' : 'different'}`,
      });
    }
  }
}

/** A key of the target that the plan leaves alone, whatever the source holds. */
function isKeptAsItWas({ spec }: World, { target }: Planned, key: Key): boolean {
  return target.has(key) && spec.onConflict !== 'overwrite';
}

/** A done marker and the end of a migration are one thing; beside them nothing of keyferry is left but the epoch. */
async function judgeMarker(world: World, phase: string): Promise<void> {
  const violate = (detail: string): void => world.violate({ property: 'false-marker', detail });
  const marker = await world.target.control(world.spec.migration).readDone();
  if (phase === 'finalized' && marker === null) violate('it is finalized, and the target has no done marker');
  if (marker !== null && phase !== 'finalized' && phase !== 'finalizing') violate(`it is ${phase}, and marked as done`);
  if (phase === 'finalized') await judgeNoControlKeys(world, violate);
}

async function judgeRolledBack(world: World): Promise<void> {
  const violate = (detail: string): void => world.violate({ property: 'rollback', detail });
  for (const [key, record] of world.target.snapshot()) {
    if (!rangeHolds(prefixRange(rule.targetPrefix), key)) continue;
    if (world.initialTarget.has(key) || world.witness.appActions.has(key)) continue;
    violate(
      `${keyForDisplay(key)} (from ${keyForDisplay(world.data.map.toSource(key))}, ${record.version}) is still there`,
    );
  }
  await judgeNoControlKeys(world, violate);
}

async function judgeNoControlKeys(world: World, violate: (detail: string) => void): Promise<void> {
  const control = world.target.control(world.spec.migration);
  if ((await control.readEpoch()) === null) violate('the epoch is gone');
  for (let i = 0; i < 60; i += 1) {
    if ((await control.readFence(chunkId(i))) !== null) violate(`the fence of ${chunkId(i)} is still there`);
  }
  for await (const page of control.listCreated(prefixRange(rule.targetPrefix), { pageKeysMax: 100 })) {
    for (const { key } of page) violate(`the mark of ${keyForDisplay(key)} is still there`);
  }
}
