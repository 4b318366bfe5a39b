/** What changed in a store after a position, read once and carried nowhere: nobody was to write there any more. */
import type { Key, KeyRange, Position } from '@keyferry/core';
import type { Engine } from '../migration.ts';
import { withRetry } from '../retry.ts';
import type { Tail } from './tail.ts';

/** One read of the feed while nothing is to come. */
const lookMs = 100;

export interface ChangedSince {
  readonly keys: readonly Key[];
  /** Those that went at once: nobody says which keys they held. */
  readonly ranges: readonly KeyRange[];
}

/** What changed after a position in the store that a tail reads, of what the tail carries. Of a lost position: anything may have. */
export async function changedSince(
  engine: Engine,
  { route }: Pick<Tail, 'route'>,
  after: Position,
): Promise<ChangedSince> {
  const { feed, range } = route;
  const head = await withRetry(engine, 'head of feed', () => feed.head());
  const open = await withRetry(engine, 'open feed', () => feed.open(range, after));
  const keys: Key[] = [];
  const ranges: KeyRange[] = [];
  try {
    for (let at = after; !feed.hasReached(at, head);) {
      const step = await withRetry(engine, 'read feed', () => open.read({ changesMax: 1000, waitMs: lookMs }));
      if (step.kind === 'lost') return { keys, ranges: [range] };
      for (const change of step.changes) {
        if (change.kind === 'delete-range') ranges.push(change.range);
        else if (route.carry(change).kind !== 'left-out') keys.push(change.key);
      }
      if (step.position === at) await engine.clock.sleep(1);
      at = step.position;
    }
    return { keys, ranges };
  } finally {
    await open.close();
  }
}
