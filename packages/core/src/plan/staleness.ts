/**
 * Does a planned chunk still hold? Compared by digest first; only where those differ, row by row, so that each key
 * that moved can be named.
 *
 * A key whose TTL ended since the plan is no staleness: that is what a TTL is for. Neither are target keys that no
 * source key maps to. Everything else that a planned key rests on is.
 */
import { digestsEqual } from '../convergence/digest.ts';
import { keyForDisplay, keyFromJson, type KeyJson } from '../model/key.ts';
import { instantMs } from '../model/instant.ts';
import type { StaleKey } from '../errors/codes.ts';
import type { RecheckedChunk } from './chunk-recheck.ts';
import type { PlannedChange, PlannedChunk } from './plan.ts';

export function chunkHolds(planned: PlannedChunk, fresh: PlannedChunk): boolean {
  return (
    digestsEqual(planned.permanent, fresh.permanent) &&
    digestsEqual(planned.expiring, fresh.expiring) &&
    digestsEqual(planned.matched, fresh.matched)
  );
}

/**
 * @param plannedRows the planned rows of this chunk, ascending, as all of `fresh.changes` are.
 * @returns what moved, each key once; empty when only TTLs ended.
 */
export function staleKeys(
  planned: PlannedChunk,
  plannedRows: readonly PlannedChange[],
  fresh: RecheckedChunk,
  nowMs: number,
): readonly StaleKey[] {
  if (chunkHolds(planned, fresh.chunk)) return [];
  const stale: StaleKey[] = [];
  const freshByKey = new Map(fresh.changes.map((row) => [idOf(row), row]));
  let expired = 0;
  for (const row of plannedRows) {
    const now = freshByKey.get(idOf(row));
    freshByKey.delete(idOf(row));
    const what = now === undefined ? whatBecame(row, nowMs) : whatChanged(row, now);
    if (what === expiredMeanwhile) expired += 1;
    else if (what !== null) stale.push({ key: display(row.targetKey), what });
  }
  for (const row of planned.listed ? freshByKey.values() : []) {
    stale.push({ key: display(row.targetKey), what: whatAppeared(row) });
  }
  if (stale.length > 0) return stale;
  return remainder(planned, fresh, expired);
}

/** No row moved, yet a digest differs: keys that the plan did not list (equal ones, or those past the row limit). */
function remainder(planned: PlannedChunk, fresh: RecheckedChunk, expired: number): readonly StaleKey[] {
  const range = `${display(planned.start)} … ${planned.end === null ? '(end)' : display(planned.end)}`;
  const onlyExpiry =
    digestsEqual(planned.permanent, fresh.chunk.permanent) &&
    // With no record of the source gone, what differs is the target, and no TTL explains that.
    !digestsEqual(planned.expiring, fresh.chunk.expiring) &&
    fresh.chunk.expiring.count <= planned.expiring.count - expired;
  if (onlyExpiry) return [];
  const gone = fresh.chunk.targetOnly > planned.targetOnly && planned.targetOnly === 0;
  if (gone) return fresh.targetOnlyKeys.map((key) => ({ key: display(key), what: 'no longer in the source' }));
  return [{ key: range, what: `chunk ${planned.chunk}: keys that the plan does not list one by one changed` }];
}

function whatBecame(row: PlannedChange, nowMs: number): string {
  if (row.expiresAt !== null && instantMs(row.expiresAt) <= nowMs) return expiredMeanwhile;
  return 'no longer to be done: gone from the source, or already equal in the target';
}

function whatChanged(row: PlannedChange, now: PlannedChange): string | null {
  if (row.digest !== now.digest) return 'changed in the source';
  if (row.target === null && now.target !== null) return 'appeared in the target';
  if (row.target !== null && now.target === null) return 'gone from the target';
  if (row.target?.version !== now.target?.version) return 'changed in the target';
  return row.action === now.action ? null : `was ${row.action}, is ${now.action}`;
}

function whatAppeared(row: PlannedChange): string {
  return row.action === 'create' ? 'new in the source, or gone from the target' : 'differs now, was equal or absent';
}

const expiredMeanwhile = 'expired';
const idOf = (row: PlannedChange): string => JSON.stringify(row.targetKey);
const display = (key: KeyJson): string => keyForDisplay(keyFromJson(key));
