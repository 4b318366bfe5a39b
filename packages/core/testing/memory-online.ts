/**
 * Online stores in memory, for tests of the client and for the simulator. Each request is one uninterrupted step, as the
 * contract wants it; what is here is the reference for adapters.
 */
import {
  compareKeys,
  isExpected,
  rangeHolds,
  type FeedReadOptions,
  type Key,
  type KeyRange,
  type OnlineRecord,
  type OnlineSource,
  type OnlineSourceAnswer,
  type OnlineSourceRequest,
  type OnlineTarget,
  type OnlineTargetAnswer,
  type OnlineTargetRecord,
  type OnlineTargetRequest,
  type Pair,
  type Position,
  type MoveStep,
  type Moves,
  type SeenSwitch,
  type SourceMove,
  type SourceMoves,
  type TargetEntry,
  type TargetMove,
  type TargetMoves,
  type Version,
  type Write,
} from '../src/index.ts';
import { stateMoves, type TargetLook } from './memory-state-moves.ts';
import type { MemorySwitchData } from './memory-switch.ts';

interface Held {
  readonly value: Uint8Array;
  readonly version: Version;
  readonly expiresAtMs: number | null;
}

type Move<H extends Held> = TargetMove<H & { readonly key: Key }>;

/** Records that end by a clock, with versions that never come twice, and all that ever happened to them. */
class HeldRecords<H extends Held> {
  readonly nowMs: () => number;
  private readonly records = new Map<Key, H>();
  /** The first one made version 1. */
  private readonly log: Move<H>[] = [];

  constructor(nowMs: () => number) {
    this.nowMs = nowMs;
  }

  get(key: Key): H | null {
    const held = this.records.get(key) ?? null;
    if (held === null || held.expiresAtMs === null || held.expiresAtMs > this.nowMs()) return held;
    this.note({ key, change: { kind: 'delete' }, entombed: false });
    this.records.delete(key);
    return null;
  }

  /** @returns the version of a put */
  write(key: Key, write: Write<Uint8Array>, make: (held: Held) => H, entombed = false): Version | null {
    if (write.kind === 'delete') {
      const isThere = this.records.delete(key);
      if (isThere || entombed) this.note({ key, change: isThere ? { kind: 'delete' } : null, entombed });
      return null;
    }
    const version = String(this.log.length + 1) as Version;
    const expiresAtMs = write.ttlMs === null ? null : this.nowMs() + write.ttlMs;
    const record = make({ value: write.value.slice(), version, expiresAtMs });
    this.note({ key, change: { kind: 'put', record: { ...record, key } }, entombed });
    this.records.set(key, record);
    return version;
  }

  /** The version of the last change. */
  head(): Position {
    return String(this.log.length) as Position;
  }

  /** @param made of a move and the version that it made; a wait is the caller's */
  moves<M>(made: (move: Move<H>, at: Position) => readonly M[]): Moves<M> {
    return {
      kind: 'log',
      hasReached: (position, mark) => Number(position) >= Number(mark),
      open: async (range, after) => {
        let at = after === null ? this.log.length : Number(after);
        const read = ({ changesMax }: FeedReadOptions): MoveStep<M> => {
          const first = at + 1;
          const later = this.log.slice(at, at + changesMax);
          at += later.length;
          const moves = later.flatMap((move, i) =>
            rangeHolds(range, move.key) ? made(move, String(first + i) as Position) : [],
          );
          return { kind: 'moves', moves, position: String(at) as Position };
        };
        return { read: async (options) => read(options), close: async () => undefined };
      },
    };
  }

  private note(move: Move<H>): void {
    this.log.push(move);
  }

  keys(): readonly Key[] {
    return [...this.records.keys()].filter((key) => this.get(key) !== null);
  }
}

export class MemoryOnlineSource implements OnlineSource {
  readonly role = 'source';
  readonly moves: SourceMoves;
  private readonly records: HeldRecords<Held>;

  constructor(nowMs: () => number) {
    const records = new HeldRecords<Held>(nowMs);
    this.records = records;
    this.moves = records.moves(sourceMovesOf);
  }

  async ask(key: Key, request: OnlineSourceRequest): Promise<OnlineSourceAnswer> {
    const record = this.records.get(key);
    if (request.kind === 'read') return { kind: 'read', record };
    const { expect, write } = request;
    const isMet = expect === 'any' || (expect === 'absent' ? record === null : record?.version === expect.version);
    if (!isMet) return { kind: 'unmet', record };
    return { kind: 'written', version: this.records.write(key, write, (held) => held), previous: record };
  }

  head(): Position {
    return this.records.head();
  }

  async *list(range: KeyRange): AsyncIterable<readonly OnlineRecord[]> {
    const keys = this.records.keys().filter((key) => rangeHolds(range, key));
    // One a page, so that a merge has to go on from page to page.
    for (const key of keys.toSorted(compareKeys)) {
      const held = this.records.get(key);
      if (held !== null) yield [{ key, ...held }];
    }
  }

  cameAfter(version: Version, position: Position): boolean {
    return Number(version) > Number(position);
  }

  async close(): Promise<void> {}
}

function sourceMovesOf({ key, change }: Move<Held>, at: Position): readonly SourceMove[] {
  return change === null ? [] : [{ key, change, at }];
}

interface HeldInTarget extends Held {
  readonly copiedFrom: Version | null;
}

export class MemoryOnlineTarget implements OnlineTarget {
  readonly role = 'target';
  readonly moves: TargetMoves;
  private readonly records: HeldRecords<HeldInTarget>;
  /** With the position at which it came. */
  private readonly tombstones = new Map<Key, number>();
  private readonly heldSwitch: MemorySwitchData | null;
  private hasOrigins = true;

  /**
   * @param held the switch that this store holds, if it does
   * @param tells what watchers are told: every change, or what differs from the last look
   */
  constructor(nowMs: () => number, held: MemorySwitchData | null = null, tells: 'log' | 'state' = 'log') {
    const records = new HeldRecords<HeldInTarget>(nowMs);
    this.records = records;
    this.moves = tells === 'log' ? records.moves((move) => [move]) : stateMoves(() => this.look());
    this.heldSwitch = held;
  }

  get comparesSwitch(): boolean {
    return this.heldSwitch !== null;
  }

  async ask(key: Key, request: OnlineTargetRequest, seen: SeenSwitch): Promise<OnlineTargetAnswer> {
    const pair = this.pairOf(key);
    if (request.kind === 'read') return { kind: 'read', pair };
    if (this.heldSwitch !== null && (this.heldSwitch.texts.get('record')?.version ?? null) !== seen.version)
      return { kind: 'epoch-moved' };
    if (!isExpected(pair, request.expect)) return { kind: 'unmet', pair };
    const entombed = request.tombstone === 'write' && !pair.tombstone;
    const version = this.records.write(key, request.write, (held) => ({ ...held, copiedFrom: null }), entombed);
    if (entombed) this.tombstones.set(key, Number(this.head()));
    if (request.tombstone === 'clear') this.tombstones.delete(key);
    return { kind: 'written', version, previous: pair };
  }

  head(): Position {
    return this.records.head();
  }

  /** What backfill does: only where neither key nor tombstone is. */
  copy(key: Key, value: Uint8Array, from: Version): void {
    const { record, tombstone } = this.pairOf(key);
    if (record !== null || tombstone) return;
    this.records.write(key, { kind: 'put', value, ttlMs: null }, (held) => ({ ...held, copiedFrom: from }));
  }

  /** What finalize does; no origin is left either, where watchers are told what differs. */
  dropTombstones(): void {
    this.tombstones.clear();
    this.hasOrigins = false;
  }

  async *list(range: KeyRange): AsyncIterable<readonly TargetEntry<OnlineTargetRecord>[]> {
    const keys = new Set([...this.records.keys(), ...this.tombstones.keys()]);
    const inRange = [...keys].filter((key) => rangeHolds(range, key)).toSorted(compareKeys);
    const entries = inRange.map((key) => {
      const record = this.records.get(key);
      return { key, record: record && { key, ...record } };
    });
    for (const entry of entries) yield [entry];
  }

  async close(): Promise<void> {}

  private look(): TargetLook {
    const keys = new Set([...this.records.keys(), ...this.tombstones.keys()]);
    const seen = [...keys].map((key) => {
      const held = this.records.get(key);
      const copiedFrom = this.hasOrigins ? (held?.copiedFrom ?? null) : null;
      const record = held === null ? null : { key, ...held, copiedFrom };
      return [key, { record, entombedAt: this.tombstones.get(key) ?? null }] as const;
    });
    return { at: Number(this.head()), seen: new Map(seen) };
  }

  private pairOf(key: Key): Pair<Uint8Array> {
    return { record: this.records.get(key), tombstone: this.tombstones.has(key) };
  }
}
