/**
 * Snapshots of the server (`pg_current_snapshot`) as positions of a feed: which transactions a reader has been given.
 *
 *     outbox/GENERATION/TIMELINE/SNAPSHOT                     all that the snapshot sees
 *     outbox/GENERATION/TIMELINE/SNAPSHOT/SNAPSHOT/LAST       and of what the later one sees, what ends up to change LAST
 *
 * Numbers of transactions are given when they begin to write, and seen when they end, so no number alone says how far a
 * reader is: one that was lower may end later. A snapshot names those that were under way. The second form stands in the
 * midst of what came between two snapshots, where that is more than one step.
 */
import type { Position } from '@keyferry/core';

export interface Snapshot {
  /** As the server writes it: `xmin:xmax:xip,xip`. */
  readonly text: string;
  /** Each below had begun, and each of these and above had not. */
  readonly end: bigint;
  /** Under way, below `end`. */
  readonly open: ReadonlySet<bigint>;
}

export interface OutboxPlace {
  /** Of the outbox: one that was made anew knows nothing of before. */
  readonly generation: string;
  /** Numbers of transactions are used again after a server was put back to an older state. */
  readonly timeline: number;
  readonly snapshot: Snapshot;
  /** Null: at the snapshot itself. */
  readonly within: { readonly until: Snapshot; readonly last: bigint } | null;
}

export function snapshotFromText(text: string): Snapshot | null {
  const match = /^\d{1,20}:(\d{1,20}):((?:\d{1,20}(?:,\d{1,20})*)?)$/.exec(text);
  if (match === null) return null;
  const [, end = '', open = ''] = match;
  return { text, end: BigInt(end), open: new Set(open === '' ? [] : open.split(',').map(BigInt)) };
}

/** Whether `snapshot` sees all that `other` sees. */
export function seesAllOf(snapshot: Snapshot, other: Snapshot): boolean {
  // What has no number below its own end, it does not see.
  if (snapshot.end < other.end) {
    const unseen = [...other.open].filter((xid) => xid >= snapshot.end).length;
    if (other.end - snapshot.end > BigInt(unseen)) return false;
  }
  return [...snapshot.open].every((xid) => xid >= other.end || other.open.has(xid));
}

export function placeOf(position: Position): OutboxPlace | null {
  const [kind, generation = '', timeline = '', from = '', until, last, ...more] = position.split('/');
  const snapshot = snapshotFromText(from);
  const isOne = kind === 'outbox' && /^[0-9a-f]{16}$/.test(generation) && /^\d{1,9}$/.test(timeline);
  if (!isOne || snapshot === null || more.length > 0) return null;
  const place = { generation, timeline: Number(timeline), snapshot };
  if (until === undefined) return { ...place, within: null };
  const later = snapshotFromText(until);
  if (later === null || !/^\d{1,19}$/.test(last ?? '')) return null;
  return { ...place, within: { until: later, last: BigInt(last ?? '') } };
}

export function positionAt({ generation, timeline, snapshot, within }: OutboxPlace): Position {
  const parts = ['outbox', generation, timeline, snapshot.text];
  if (within !== null) parts.push(within.until.text, String(within.last));
  return parts.join('/') as Position;
}

/** Whether a reader who stands at `place` has been given all up to `mark`. */
export function hasReachedPlace(place: OutboxPlace, mark: OutboxPlace): boolean {
  if (place.generation !== mark.generation || place.timeline !== mark.timeline) return false;
  if (positionAt(place) === positionAt(mark)) return true;
  if (mark.within === null) return seesAllOf(place.snapshot, mark.snapshot);
  if (seesAllOf(place.snapshot, mark.within.until)) return true;
  // In the midst of the same part: the change up to which it was told says it.
  const { within } = place;
  const isSamePart = place.snapshot.text === mark.snapshot.text && within?.until.text === mark.within.until.text;
  return within !== null && isSamePart && within.last >= mark.within.last;
}
