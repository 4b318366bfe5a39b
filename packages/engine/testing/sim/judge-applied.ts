/**
 * Was what an apply said true? `done` is held against the very snapshots that its verify read, record by record, by
 * plain comparison: none of the digests and merges that the engine trusts is used here.
 */
import {
  bytesEqual,
  keyForDisplay,
  prefixRange,
  rangeHolds,
  recordsEqual,
  scannedOf,
  type StoredRecord,
} from '@keyferry/core';
import type { ApplyResult } from '../../src/index.ts';
import { rule } from './dataset.ts';
import type { Planned, Snapshot, World } from './world.ts';

export async function judgeApplied(world: World, planned: Planned, result: ApplyResult): Promise<void> {
  judgeCounts(world, planned, result);
  await judgeDeadLetters(world, planned, result);
  if (result.outcome !== 'done') return;
  const source = world.snapshots.source.get(result.verify.sourcePosition);
  const target = world.snapshots.target.get(result.verify.targetPosition);
  if (source === undefined || target === undefined) {
    world.violate({ property: 'false-done', detail: 'it verified at positions that nobody opened' });
    return;
  }
  for (const why of [...disagreements(world, planned, source, target), ...sourceMoves(planned, source)]) {
    world.violate({ property: 'false-done', detail: why });
  }
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
    const kept = planned.target.get(key);
    if (found !== undefined && kept?.version === found.version) continue;
    yield `${keyForDisplay(key)} is ${found === undefined ? 'missing' : 'different'} in the target`;
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
function judgeCounts(world: World, planned: Planned, { counts, attempt }: ApplyResult): void {
  const violate = (detail: string): void =>
    world.violate({ property: 'counts', detail: `attempt ${attempt}: ${detail}` });
  const scanned = scannedOf(counts);
  const entries = sourceRecords(planned.source).length;
  const moved = world.data.expiring || world.application.wroteSource;
  if (scanned !== entries && !moved) violate(`${scanned} counted, ${entries} in the source`);
  const created = world.witness.creations.filter((creation) => creation.attempt === attempt);
  const touched = created.filter(({ key }) => world.witness.touchedAfterCreation.has(key)).length;
  // A created key that the application changed before a resume met it again counts as kept or deleted, not as written.
  const fewest = world.data.expiring || world.application.wroteSource ? 0 : created.length - touched;
  // A record can end in the very instant in which it is written.
  const ending = sourceRecords(planned.source).filter(({ expiresAtMs }) => expiresAtMs !== null).length;
  if (counts.written > created.length + ending || counts.written < fewest) {
    violate(`${counts.written} counted as written, ${created.length} created, ${touched} of them touched`);
  }
  const known: Record<string, number> = { ...counts };
  for (const [name, count] of Object.entries(known)) if (count < 0) violate(`${name} is ${count}`);
}

/** Each record that the target refuses is named, once, and nothing else is. */
async function judgeDeadLetters(world: World, planned: Planned, { counts, attempt }: ApplyResult): Promise<void> {
  const scope = `${world.spec.migration}/${String(attempt).padStart(10, '0')}`;
  const { entries } = await world.state.list('dead-letter', scope, { after: null, itemsMax: 1000 });
  const refused = sourceRecords(planned.source).filter(({ key, value }) =>
    world.refuses(world.data.map.toTarget(key), value),
  );
  const moved = world.data.expiring || world.application.wroteSource;
  const expected = moved ? counts.deadLetters : refused.length;
  // The state may have been thrown away between the end of the run and this look.
  const state = await world.state.read('migration', 'migrations', world.spec.migration);
  const lost = state?.item.attempt !== attempt;
  if (lost || (counts.deadLetters === expected && (moved || entries.length === expected))) return;
  const detail = `${counts.deadLetters} counted as dead letters, ${entries.length} named, ${refused.length} refused`;
  world.violate({ property: 'counts', detail: `attempt ${attempt}: ${detail}` });
}
