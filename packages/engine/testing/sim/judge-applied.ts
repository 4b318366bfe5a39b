/**
 * Was what an apply said true? `done` is held against the very snapshots that its verify read, record by record, by
 * plain comparison: none of the digests and merges that the engine trusts is used here.
 */
import {
  bytesEqual,
  deletesOf,
  keyForDisplay,
  keyFromJson,
  prefixRange,
  rangeHolds,
  recordsEqual,
  scannedOf,
  type DeadLetter,
  type StoredRecord,
} from '@keyferry/core';
import type { ApplyResult, RetryResult, VerifyResult } from '../../src/index.ts';
import { rule } from './dataset.ts';
import type { Planned, Snapshot, World } from './world.ts';

export async function judgeApplied(world: World, planned: Planned, result: ApplyResult): Promise<void> {
  const letters = await lettersOf(world, result.attempt);
  judgeCounts(world, planned, result, letters ?? []);
  if (letters !== null) judgeDeadLetters(world, planned, result, letters);
  if (result.outcome === 'done') judgeDone(world, planned, result.verify);
}

/** A retry that says done has to be right like any other run; it applies the plan that the state knows. */
export function judgeRetried(world: World, planned: Planned, { plan, outcome, verify }: RetryResult): void {
  if (outcome === 'done' && verify !== null && plan.plan === planned.id) judgeDone(world, planned, verify);
}

function judgeDone(world: World, planned: Planned, verify: VerifyResult): void {
  const source = world.snapshots.source.get(verify.sourcePosition);
  const target = world.snapshots.target.get(verify.targetPosition);
  if (source === undefined || target === undefined) {
    world.violate({ property: 'false-done', detail: 'it verified at positions that nobody opened' });
    return;
  }
  for (const why of [...disagreements(world, planned, source, target), ...sourceMoves(planned, source)]) {
    world.violate({ property: 'false-done', detail: why });
  }
}

/** Functions read each chunk at a time of its own: where nobody disturbed them, both sides agree now as they did then. */
export function judgeVerifiedNow(world: World, planned: Planned): void {
  if (!isUndisturbed(world, planned)) return;
  for (const why of disagreements(world, planned, world.source.snapshot(), world.target.snapshot())) {
    world.violate({ property: 'false-done', detail: `functions verified: ${why}` });
  }
}

/**
 * Nothing happened that the plan could not foresee. Tombstones count: a plan does not see them. So does a sleeper of the
 * storm that wakes and applies an older plan, or rolls it back.
 */
export function isUndisturbed(world: World, planned: Planned): boolean {
  const { application, data, witness } = world;
  const writes = [
    ...witness.creations.slice(planned.creationsBefore),
    ...witness.guardedChanges.slice(planned.changesBefore),
  ];
  const rivals = writes.some(({ plan }) => plan !== planned.id);
  const rolledBack = witness.removals !== planned.removalsBefore;
  const wrote = application.wroteTarget || application.wroteSource;
  const refused = [...planned.source.values()].some(({ key, value }) => world.refuses(data.map.toTarget(key), value));
  return !rivals && !rolledBack && !wrote && !refused && !data.expiring && witness.tombstones.size === 0;
}

export function sourceRecords(snapshot: Snapshot): readonly StoredRecord[] {
  return [...snapshot.values()].filter(({ key }) => rangeHolds(prefixRange(rule.sourcePrefix), key));
}

function* disagreements(world: World, planned: Planned, source: Snapshot, target: Snapshot): Generator<string> {
  for (const record of sourceRecords(source)) {
    const key = world.data.map.toTarget(record.key);
    const found = target.get(key);
    const ended = record.expiresAtMs !== null && record.expiresAtMs <= world.kernel.nowMs;
    if (ended || (found !== undefined && recordsEqual(record, found))) continue;
    const kept = planned.guards.has(key) ? undefined : planned.target.get(key);
    if (found !== undefined && kept?.version === found.version) continue;
    yield `${keyForDisplay(key)} is ${found === undefined ? 'missing' : 'different'} in the target`;
  }
  for (const [key, { action, version }] of planned.guards) {
    if (action === 'delete' && target.get(key)?.version === version) yield `${keyForDisplay(key)} was not deleted`;
  }
}

function* sourceMoves(planned: Planned, source: Snapshot): Generator<string> {
  const permanent = (snapshot: Snapshot) => sourceRecords(snapshot).filter(({ expiresAtMs }) => expiresAtMs === null);
  const now = permanent(source);
  if (now.length !== permanent(planned.source).length) yield 'the source has other keys than when it was planned';
  for (const record of now) {
    const then = planned.source.get(record.key);
    if (then === undefined || !bytesEqual(then.value, record.value)) {
      yield `${keyForDisplay(record.key)} changed in the source since the plan`;
    }
  }
}

/** Counts add up to what was read; what is counted as written was put there by this attempt. */
function judgeCounts(
  world: World,
  planned: Planned,
  { counts, attempt }: ApplyResult,
  letters: readonly DeadLetter[],
): void {
  const violate = (detail: string): void =>
    world.violate({ property: 'counts', detail: `attempt ${attempt}: ${detail}` });
  const scanned = scannedOf(counts);
  const entries = sourceRecords(planned.source).length;
  const moved = world.data.expiring || world.application.wroteSource;
  if (scanned !== entries && !moved) violate(`${scanned} counted, ${entries} in the source`);
  judgeGuardedCounts(world, planned, { counts, attempt }, violate);
  const created = world.witness.creations.filter((creation) => creation.attempt === attempt && !creation.over);
  const touched = created.filter(({ key }) => world.witness.touchedAfterCreation.has(key)).length;
  // A created key that the application changed before a resume met it again counts as kept or deleted, not as written.
  // A retry that died behind its write has left a letter that the next one settles.
  const unsettled = letters.filter(
    ({ targetKey, resolved }) => resolved === null && created.some(({ key }) => key === keyFromJson(targetKey)),
  ).length;
  const fewest = world.data.expiring || world.application.wroteSource ? 0 : created.length - touched - unsettled;
  // A record can end in the very instant in which it is written.
  const ending = sourceRecords(planned.source).filter(({ expiresAtMs }) => expiresAtMs !== null).length;
  if (counts.written > created.length + ending || counts.written < fewest) {
    violate(`${counts.written} counted as written, ${created.length} created, ${touched} of them touched`);
  }
  const known: Record<string, number> = { ...counts };
  for (const [name, count] of Object.entries(known)) if (count < 0) violate(`${name} is ${count}`);
}

/** Planned deletes add up; what is counted as overwritten or deleted was changed by this attempt. */
function judgeGuardedCounts(
  { witness, data, application }: World,
  { guards }: Planned,
  { counts, attempt }: Pick<ApplyResult, 'counts' | 'attempt'>,
  violate: (detail: string) => void,
): void {
  const deletes = [...guards.values()].filter(({ action }) => action === 'delete').length;
  if (deletesOf(counts) !== deletes) violate(`${deletesOf(counts)} deletes counted, ${deletes} planned`);
  const alone = !data.expiring && !application.wroteSource && !application.wroteTarget && witness.appActions.size === 0;
  for (const [kind, counted] of [
    ['overwrite', counts.overwritten],
    ['delete', counts.deleted],
  ] as const) {
    const done = witness.guardedChanges.filter((change) => change.attempt === attempt && change.kind === kind).length;
    if (counted > done || (alone && counted < done)) violate(`${counted} counted for ${kind}, ${done} happened`);
  }
}

/** The letters of an attempt; null when the state knows it no more: it may have been thrown away since the run ended. */
async function lettersOf(world: World, attempt: number): Promise<readonly DeadLetter[] | null> {
  const scope = `${world.spec.migration}/${String(attempt).padStart(10, '0')}`;
  const { entries } = await world.state.list('dead-letter', scope, { after: null, itemsMax: 1000 });
  const state = await world.state.read('migration', 'migrations', world.spec.migration);
  return state?.item.attempt === attempt ? entries.map(({ item }) => item) : null;
}

/** Each record that the target refuses is named, once, and nothing else is; what is dead is what was not resolved. */
function judgeDeadLetters(
  world: World,
  planned: Planned,
  { counts, attempt }: ApplyResult,
  letters: readonly DeadLetter[],
): void {
  const refused = sourceRecords(planned.source).filter(({ key, value }) =>
    world.refuses(world.data.map.toTarget(key), value),
  );
  const open = letters.filter(({ resolved }) => resolved === null).length;
  const moved = world.data.expiring || world.application.wroteSource;
  if (counts.deadLetters === open && (moved || letters.length === refused.length)) return;
  const detail = `${counts.deadLetters} counted as dead letters, ${open} of ${letters.length} named are dead, ${refused.length} refused`;
  world.violate({ property: 'counts', detail: `attempt ${attempt}: ${detail}` });
}
