/**
 * Position: which transactions a reader sees, as the server itself says it (pg_current_snapshot), and the timeline.
 *
 * Two equal snapshots see the same, because every change has a number of its own, and whatever is under way is listed. The
 * timeline tells a server that went back to an older state, and uses numbers again, from the one before. Writes to other
 * tables and databases of the server move it too.
 */
import { createHash } from 'node:crypto';
import type { Position, Version } from '@keyferry/core';
import { snapshotFromText, type Snapshot } from './feed/snapshot.ts';
import type { Session } from './session.ts';

/** A server with thousands of open transactions would have a position of as many numbers. */
const textMax = 120;

export async function readPosition(session: Session): Promise<Position> {
  const { rows } = await session.query<{ readonly snapshot: string; readonly timeline: number }>(
    'SELECT pg_current_snapshot()::text AS snapshot, (SELECT timeline_id FROM pg_control_checkpoint()) AS timeline',
  );
  const { snapshot = '', timeline = 0 } = rows[0] ?? {};
  return `${timeline}/${snapshot.length <= textMax ? snapshot : shortened(snapshot)}` as Position;
}

function shortened(snapshot: string): string {
  const [from = '', to = ''] = snapshot.split(':');
  return `${from}:${to}:sha256-${createHash('sha256').update(snapshot).digest('hex').slice(0, 32)}`;
}

const positionForm = /^(\d+)\/(\d+):(\d+):(.*)$/;
/** Below it are numbers that no transaction has (postgresql.org/docs/15/routine-vacuuming.html). */
const firstTransaction = 3n;

/**
 * Whether a row of this version (xmin) was committed behind a position. xmin is the low half of a transaction's number; the
 * other half is the one that brings it nearest to the position, as the server itself compares them. Where a position has
 * too many transactions under way to name them, those among them count as before it.
 */
export function cameAfter(version: Version, position: Position): boolean {
  const [, , , next, underWay = ''] = positionForm.exec(position) ?? [];
  if (next === undefined || !/^\d+$/.test(version)) return false;
  const low = BigInt(version);
  if (low < firstTransaction) return false;
  const distance = BigInt.asIntN(32, low - BigInt(next));
  return distance >= 0n || underWay.split(',').includes(String(BigInt(next) + distance));
}

/** What a position sees, with its timeline; null: it is no position of tables. Of too many under way none is named. */
export function snapshotOf(position: Position): { readonly timeline: number; readonly snapshot: Snapshot } | null {
  const [, timeline, from, to, underWay = ''] = positionForm.exec(position) ?? [];
  const named = /^[\d,]*$/.test(underWay) ? underWay : '';
  const snapshot = timeline === undefined ? null : snapshotFromText(`${from}:${to}:${named}`);
  return snapshot === null ? null : { timeline: Number(timeline), snapshot };
}
