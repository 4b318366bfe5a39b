/**
 * Follows a feed as a tail does, and keeps what a target would hold: over failures that pass, one feed after the other,
 * each from the position of the last step.
 */
import {
  KeyferryError,
  rangeHolds,
  type ChangeFeed,
  type Key,
  type KeyRange,
  type OpenFeed,
  type Position,
} from '@keyferry/core';

export interface Followed {
  readonly position: Position;
  /** What the changes leave of what there was before, as text. */
  readonly state: ReadonlyMap<Key, string>;
  /** How many changes were told. */
  readonly changes: number;
  /** Failures that a tail would repeat. */
  readonly failures: number;
}

export interface FollowOptions {
  readonly range: KeyRange;
  readonly after: Position;
  readonly state?: ReadonlyMap<Key, string>;
  /** Where to stop; asked before each step. */
  readonly until: () => Position | null;
  readonly changesMax?: number;
  readonly waitMs?: number;
  /** Told of so many more. */
  readonly onStep?: (changes: number) => void;
  /** Before each step. */
  readonly pause?: () => Promise<void>;
}

/** @throws an error that no repeat helps, and one with the feed's own words when it lost its position */
export async function follow(feed: ChangeFeed, options: FollowOptions): Promise<Followed> {
  const { range, after, until, changesMax = 500, waitMs = 200, onStep, pause } = options;
  const state = new Map(options.state);
  let position = after;
  let changes = 0;
  let failures = 0;
  let open: OpenFeed | null = null;
  try {
    for (;;) {
      const mark = until();
      if (mark !== null && feed.hasReached(position, mark)) return { position, state, changes, failures };
      await pause?.();
      try {
        open ??= await feed.open(range, position);
        const step = await open.read({ changesMax, waitMs });
        if (step.kind === 'lost') throw new Error(`lost: ${step.why}`);
        for (const change of step.changes) {
          if (change.kind === 'put') state.set(change.key, new TextDecoder().decode(change.value));
          else if (change.kind === 'delete') state.delete(change.key);
          else for (const key of state.keys()) if (rangeHolds(change.range, key)) state.delete(key);
        }
        changes += step.changes.length;
        onStep?.(step.changes.length);
        position = step.position;
      } catch (error) {
        if (!(error instanceof KeyferryError && (error as KeyferryError).retry === 'backoff')) throw error;
        failures += 1;
        // Every other time as a new process would.
        if (failures % 2 === 0) {
          await open?.close();
          open = null;
        }
      }
    }
  } finally {
    await open?.close();
  }
}
