/**
 * A generation: both sides proven equal while they move.
 *
 *     mark := head ─► scan both, side by side ─► what differs is looked at again, each time at or after a head that the
 *     tail has reached since the source's record was read
 *
 * A feed is never proof, so the proof is a scan. A record that differs means nothing by itself: one side was read before
 * the other. It is a difference once the primary's record stayed as it was while the tail reached a head that was read after
 * it, until after the other one was read, and that one differs (SPEC R42). What all is checked up to is the mark, from before the first read.
 */
import {
  changedRecord,
  DigestSum,
  differencesNamed,
  imageRule,
  KeyferryError,
  keyToJson,
  RecordHasher,
  recordsEqual,
  toTargetKey,
  type ChangeFeed,
  type Difference,
  type Generation,
  type JoinVisitor,
  type Key,
  type MigrationSpec,
  type PlanDocument,
  type Position,
  type PrimarySide,
  type StopSignal,
  type StoredRecord,
  type Unplaced,
} from '@keyferry/core';
import { openViews, spansOf } from '../image.ts';
import { assertNotStopped, type Engine } from '../migration.ts';
import { joinViews } from '../pages.ts';
import { withRetry } from '../retry.ts';
import { permanentRecord } from './permanent-source.ts';
import { readBothSides, type BothSides } from './side-by-side.ts';

/** Records that may differ at first: more than that is no lag but another content. */
const differingMax = 100_000;
/** Looks at a record that keeps moving before the generation says that it could not settle. */
const looksMax = 20;

export interface GenerationResult {
  readonly verdict: 'equal' | 'differ' | 'unsettled';
  readonly generation: Generation;
  /** The first of them. */
  readonly differences: readonly Difference[];
  readonly differencesTotal: number;
  /** Target keys whose records end, in the one and in the other store. */
  readonly expiring: { readonly source: ReadonlySet<Key>; readonly target: ReadonlySet<Key> };
}

export interface GenerationContext {
  /** The store that is primary: the mark is a position of its feed. */
  readonly feed: ChangeFeed;
  readonly primary: PrimarySide;
  readonly kept: ReadonlySet<Key>;
  readonly number: number;
  /** Resolves when the tail has carried everything up to a position. */
  readonly whenReached: (mark: Position) => Promise<void>;
  readonly signal: StopSignal;
}

/** @throws {KeyferryError} `run.interrupted` once `signal` has aborted. */
export async function proveGeneration(
  engine: Engine,
  spec: MigrationSpec,
  plan: PlanDocument,
  context: GenerationContext,
): Promise<GenerationResult> {
  const { feed, primary, kept, number, whenReached, signal } = context;
  const head = (): Promise<Position> => withRetry(engine, 'head of feed', () => feed.head(), signal);
  const mark = await head();
  const seen = new SideBySide(plan, spec, kept);
  const views = await openViews(engine, spec, signal);
  try {
    await joinViews(engine, imageRule(spec).rule, views, spansOf(spec).source, seen, (read) => {
      assertNotStopped(spec.migration, signal);
      engine.host.emit({ code: 'verify.progress', data: { keys: read.sourceKeys } });
    });
  } finally {
    await views.close();
  }
  const { clock } = engine;
  const differedAtMs = clock.monotonicMs();
  let pending: ReadonlySet<Key> = seen.differing;
  const differing = new Set<Key>();
  let settledAfterMsMax = 0;
  let settledLater = 0;
  for (let looks = 1; pending.size > 0 && looks <= looksMax; looks += 1) {
    const before = await sidesByKey(engine, spec, pending, signal);
    await whenReached(await head());
    const after = await sidesByKey(engine, spec, pending, signal);
    const unlike = [...after.values()].filter(({ isEqual }) => !isEqual).map(({ targetKey }) => targetKey);
    // The sides of one look are not of one instant: the follower may have been read when it was ahead of the primary's. And
    // absence has no version: what came and went in between shows once the tail has reached a later head (seed 472).
    if (unlike.length > 0) await whenReached(await head());
    const again = await sidesByKey(engine, spec, unlike, signal);
    const moving = new Set<Key>();
    for (const sides of after.values()) {
      const { targetKey } = sides;
      const versions = [before, after, again].map((look) => look.get(targetKey)?.[primary]?.version ?? null);
      const follower = primary === 'source' ? 'target' : 'source';
      const stood = [after, again].map((look) => look.get(targetKey)?.[follower]?.version ?? null);
      if (sides.isEqual) {
        settledLater += 1;
        settledAfterMsMax = Math.max(settledAfterMsMax, clock.monotonicMs() - differedAtMs);
        if (sides.wanted !== null) seen.add(sides.wanted);
      } else if (new Set(versions).size === 1 && new Set(stood).size === 1) differing.add(targetKey);
      else moving.add(targetKey);
    }
    pending = moving;
  }
  const generation: Generation = {
    number,
    position: mark,
    atMs: clock.nowMs(),
    records: seen.digest.value().count,
    settledLater,
    settledAfterMsMax,
    digest: seen.digest.value(),
  };
  const total = differing.size + seen.unplacedCount;
  return {
    verdict: total > 0 ? 'differ' : pending.size > 0 ? 'unsettled' : 'equal',
    generation,
    differences: [
      ...[...differing].map((key): Difference => ({ key: keyToJson(key), what: 'value differs' })),
      ...seen.unplacedFirst,
    ].slice(0, differencesNamed),
    differencesTotal: total,
    expiring: { source: seen.expiringSource, target: seen.expiringTarget },
  };
}

async function sidesByKey(
  engine: Engine,
  spec: MigrationSpec,
  keys: Iterable<Key>,
  signal: StopSignal,
): Promise<ReadonlyMap<Key, BothSides>> {
  const sides = await readBothSides(engine, spec, keys, signal);
  return new Map(sides.map((each) => [each.targetKey, each]));
}

/** What one scan of both sides saw. Records are the source's image and the target's, ends included. */
class SideBySide implements JoinVisitor {
  readonly digest = new DigestSum();
  readonly differing = new Set<Key>();
  readonly expiringSource = new Set<Key>();
  readonly expiringTarget = new Set<Key>();
  readonly unplacedFirst: Difference[] = [];
  unplacedCount = 0;
  private readonly hasher: RecordHasher;
  private readonly spec: MigrationSpec;
  private readonly kept: ReadonlySet<Key>;
  private readonly toTarget: (key: Key) => Key;

  constructor(plan: PlanDocument, spec: MigrationSpec, kept: ReadonlySet<Key>) {
    this.hasher = new RecordHasher(plan.salt);
    this.spec = spec;
    this.kept = kept;
    const { rule } = imageRule(spec);
    this.toTarget = (key) => toTargetKey(rule, key);
  }

  /** A record that is the same on both sides, under its key in the target. */
  add(record: StoredRecord): void {
    this.digest.add(this.hasher.hash(permanentRecord(record)));
  }

  sourceOnly(source: StoredRecord, targetKey: Key): void {
    this.note(source, null, targetKey);
    this.differ(targetKey);
  }

  matched(source: StoredRecord, target: StoredRecord): void {
    this.note(source, target, target.key);
    if (this.kept.has(target.key)) return;
    const wanted = changedRecord(source, { key: this.toTarget(source.key), expiresAtMs: null });
    if (recordsEqual(wanted, permanentRecord(target))) this.add(wanted);
    else this.differ(target.key);
  }

  targetOnly(target: StoredRecord): void {
    this.note(null, target, target.key);
    this.differ(target.key);
  }

  notCarried(): void {
    // Directories and what the rules leave out have no image; a copy of one that had would show as the target's alone.
  }

  unplaced({ count, sourceKeys, key }: Unplaced): void {
    this.unplacedCount += count;
    if (this.unplacedFirst.length < differencesNamed) {
      this.unplacedFirst.push({ key: keyToJson(sourceKeys[0] ?? key), what: 'the rules find no place for it' });
    }
  }

  private note(source: StoredRecord | null, target: StoredRecord | null, targetKey: Key): void {
    if (source !== null && source.expiresAtMs !== null) this.expiringSource.add(targetKey);
    if (target !== null && target.expiresAtMs !== null) this.expiringTarget.add(targetKey);
  }

  private differ(targetKey: Key): void {
    if (this.kept.has(targetKey) || !this.spec.inScope(targetKey)) return;
    this.differing.add(targetKey);
    if (this.differing.size <= differingMax) return;
    const { migration } = this.spec;
    const why = `more than ${differingMax} records differ, which is no lag`;
    throw new KeyferryError('cutover.not-ready', { migration, why });
  }
}
