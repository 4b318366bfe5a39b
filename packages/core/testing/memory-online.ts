/**
 * Online stores in memory, for tests of the client and for the simulator. Each request is one uninterrupted step, as the
 * contract wants it; what is here is the reference for adapters.
 */
import {
  compareKeys,
  rangeHolds,
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
  type SeenSwitch,
  type TargetEntry,
  type Version,
  type Write,
} from '../src/index.ts';
import type { MemorySwitchData } from './memory-switch.ts';

interface Held {
  readonly value: Uint8Array;
  readonly version: Version;
  readonly expiresAtMs: number | null;
}

/** Records that end by a clock, with versions that never come twice. */
class HeldRecords<H extends Held> {
  readonly nowMs: () => number;
  private readonly records = new Map<Key, H>();
  private versions = 0;

  constructor(nowMs: () => number) {
    this.nowMs = nowMs;
  }

  get(key: Key): H | null {
    const held = this.records.get(key) ?? null;
    if (held === null || held.expiresAtMs === null || held.expiresAtMs > this.nowMs()) return held;
    this.records.delete(key);
    return null;
  }

  /** @returns the version of a put */
  write(key: Key, write: Write<Uint8Array>, make: (held: Held) => H): Version | null {
    if (write.kind === 'delete') {
      this.records.delete(key);
      return null;
    }
    this.versions += 1;
    const version = String(this.versions) as Version;
    const expiresAtMs = write.ttlMs === null ? null : this.nowMs() + write.ttlMs;
    this.records.set(key, make({ value: write.value.slice(), version, expiresAtMs }));
    return version;
  }

  keys(): readonly Key[] {
    return [...this.records.keys()].filter((key) => this.get(key) !== null);
  }
}

export class MemoryOnlineSource implements OnlineSource {
  readonly role = 'source';
  private readonly records: HeldRecords<Held>;

  constructor(nowMs: () => number) {
    this.records = new HeldRecords(nowMs);
  }

  async ask(key: Key, request: OnlineSourceRequest): Promise<OnlineSourceAnswer> {
    const record = this.records.get(key);
    if (request.kind === 'read') return { kind: 'read', record };
    const { expect, write } = request;
    const isMet = expect === 'any' || (expect === 'absent' ? record === null : record?.version === expect.version);
    if (!isMet) return { kind: 'unmet', record };
    return { kind: 'written', version: this.records.write(key, write, (held) => held), previous: record };
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

interface HeldInTarget extends Held {
  readonly copiedFrom: Version | null;
}

export class MemoryOnlineTarget implements OnlineTarget {
  readonly role = 'target';
  private readonly records: HeldRecords<HeldInTarget>;
  private readonly tombstones = new Set<Key>();
  private readonly heldSwitch: MemorySwitchData | null;

  /** @param held the switch that this store holds, if it does */
  constructor(nowMs: () => number, held: MemorySwitchData | null = null) {
    this.records = new HeldRecords(nowMs);
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
    if (!holds(pair, request.expect)) return { kind: 'unmet', pair };
    const version = this.records.write(key, request.write, (held) => ({ ...held, copiedFrom: null }));
    if (request.tombstone === 'write') this.tombstones.add(key);
    if (request.tombstone === 'clear') this.tombstones.delete(key);
    return { kind: 'written', version, previous: pair };
  }

  /** What backfill does: only where neither key nor tombstone is. */
  copy(key: Key, value: Uint8Array, from: Version): void {
    const { record, tombstone } = this.pairOf(key);
    if (record !== null || tombstone) return;
    this.records.write(key, { kind: 'put', value, ttlMs: null }, (held) => ({ ...held, copiedFrom: from }));
  }

  /** What finalize does. */
  dropTombstones(): void {
    this.tombstones.clear();
  }

  async *list(range: KeyRange): AsyncIterable<readonly TargetEntry<OnlineTargetRecord>[]> {
    const keys = new Set([...this.records.keys(), ...this.tombstones]);
    const inRange = [...keys].filter((key) => rangeHolds(range, key)).toSorted(compareKeys);
    const entries = inRange.map((key) => {
      const record = this.records.get(key);
      return { key, record: record && { key, ...record } };
    });
    for (const entry of entries) yield [entry];
  }

  async close(): Promise<void> {}

  private pairOf(key: Key): Pair<Uint8Array> {
    return { record: this.records.get(key), tombstone: this.tombstones.has(key) };
  }
}

export function holds(
  { record, tombstone }: Pair<Uint8Array>,
  expect: Extract<OnlineTargetRequest, { kind: 'write' }>['expect'],
): boolean {
  if (expect === 'any') return true;
  if (expect === 'absent') return record === null;
  return expect === 'fresh' ? record === null && !tombstone : record?.version === expect.version;
}
