/**
 * Moves of a target that knows its state alone, as an adapter of such a store makes them: by comparing what is there with what
 * was there at the last look, and with a position where there was none.
 */
import {
  rangeHolds,
  type Key,
  type OnlineTargetRecord,
  type Position,
  type TargetMove,
  type TargetMoves,
} from '../src/index.ts';

interface Seen {
  readonly record: OnlineTargetRecord | null;
  /** Since when there is a tombstone; null: there is none. */
  readonly entombedAt: number | null;
}

/** All of it at one position; versions are positions. */
export interface TargetLook {
  readonly at: number;
  readonly seen: ReadonlyMap<Key, Seen>;
}

const nothing: Seen = { record: null, entombedAt: null };

export function stateMoves(look: () => TargetLook): TargetMoves {
  return {
    kind: 'state',
    hasReached: (position, mark) => Number(position) >= Number(mark),
    open: async (range, after) => {
      let last = after === null ? look().seen : null;
      const asOf = ({ record, entombedAt }: Seen): Seen => ({
        record: Number(record?.version ?? 0) > Number(after) ? null : record,
        entombedAt: (entombedAt ?? 0) > Number(after) ? null : entombedAt,
      });
      return {
        read: async () => {
          const { at, seen } = look();
          const before = last ?? new Map([...seen].map(([key, each]) => [key, asOf(each)]));
          last = seen;
          const keys = [...new Set([...before.keys(), ...seen.keys()])].filter((key) => rangeHolds(range, key));
          const moves = keys.flatMap((key) => moveBetween(key, before.get(key) ?? nothing, seen.get(key) ?? nothing));
          const inOrder = moves.toSorted((a, b) => versionOf(a) - versionOf(b));
          return { kind: 'moves', moves: inOrder, position: String(at) as Position };
        },
        close: async () => undefined,
      };
    },
  };
}

type Move = TargetMove<OnlineTargetRecord>;

function moveBetween(key: Key, before: Seen, { record, entombedAt }: Seen): readonly Move[] {
  const entombed = entombedAt !== null && entombedAt !== before.entombedAt;
  if (record !== null && record.version !== before.record?.version && record.copiedFrom === null) {
    return [{ key, change: { kind: 'put', record }, entombed }];
  }
  const isGone = record === null && before.record !== null;
  return isGone || entombed ? [{ key, change: isGone ? { kind: 'delete' } : null, entombed }] : [];
}

const versionOf = ({ change }: Move): number =>
  change?.kind === 'put' ? Number(change.record.version) : Number.POSITIVE_INFINITY;
