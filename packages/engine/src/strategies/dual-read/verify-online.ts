/**
 * Verify while applications take part: every key of the source is in the target, equal or written by an application, or has
 * its tombstone there. Both sides are read whole; what may differ is what an application did, and nothing else.
 *
 * Looks for stray writes too: keys of the source that came after it was frozen, or that were copied and are gone from it
 * although they do not expire (SPEC, `source.stray-write`). What each key means is core's to say (both-sides.ts).
 */
import {
  BucketSums,
  DigestSum,
  differencesNamed,
  judgeSides,
  keyToJson,
  prefixRange,
  RecordHasher,
  totalOf,
  type ComparisonPart,
  type Difference,
  type DifferenceKind,
  type Key,
  type KeyJson,
  type KeyRange,
  type MigrationSpec,
  type PlanDocument,
  type Position,
  type SidesTerms,
  type StopSignal,
  type StoreView,
} from '@keyferry/core';
import { openImage } from '../../image.ts';
import { assertNotStopped, type Engine } from '../../migration.ts';
import { withRetry } from '../../retry.ts';
import type { VerifyResult } from '../../verify.ts';
import { joinOnline, type JoinedKey } from './online-join.ts';
import type { OnlineParts } from './online.ts';

export interface OnlineVerification extends VerifyResult {
  /** Keys that an application wrote in the target, over a copy or new. */
  readonly rewritten: number;
  /** Keys that it deleted, copied or not. */
  readonly deleted: number;
  /** Written in the source by somebody who does not follow the switch; the first of them. */
  readonly strays: readonly KeyJson[];
  readonly straysTotal: number;
}

/** A second for stores that estimate when a record ends, the rest for the clocks of machines and servers. */
const clockSkewMs = 5000;

/**
 * @param frozenAt the source's position once it was frozen
 * @throws {KeyferryError} `run.interrupted` once `signal` has aborted
 */
export async function verifyOnline(
  engine: Engine,
  spec: MigrationSpec,
  parts: OnlineParts,
  plan: PlanDocument,
  frozenAt: Position | null,
  signal?: StopSignal,
): Promise<OnlineVerification> {
  const startedAtMs = engine.clock.monotonicMs();
  const view = await openImage(engine, spec, signal);
  const targetPosition = await withRetry(engine, 'head of target', () => engine.target.head());
  const range = prefixRange(spec.rule.sourcePrefix);
  const comparison = new OnlineComparison(engine, parts, { plan, frozenAt });
  try {
    await comparison.compare(view, range, async () => assertNotStopped(spec.migration, signal), signal);
  } finally {
    await view.close();
  }
  const elapsedMs = engine.clock.monotonicMs() - startedAtMs;
  const result = { ...onlineResult(comparison.part()), sourcePosition: view.position, targetPosition, elapsedMs };
  emitStrays(engine, result);
  return result;
}

/** Told once a comparison is over. */
export function emitStrays({ host }: Pick<Engine, 'host'>, { strays: keys, straysTotal: total }: StrayFindings): void {
  if (total > 0) host.emit({ code: 'source.strays', data: { keys, total } });
}

type StrayFindings = Pick<OnlineVerification, 'strays' | 'straysTotal'>;

/** Compares ranges of keys, and adds up what it found. */
export class OnlineComparison {
  private readonly engine: Engine;
  private readonly parts: OnlineParts;
  private readonly sides: Sides;

  constructor(
    engine: Engine,
    parts: OnlineParts,
    { plan, frozenAt }: { readonly plan: PlanDocument; readonly frozenAt: Position | null },
  ) {
    this.engine = engine;
    this.parts = parts;
    this.sides = new Sides(engine, plan, {
      nowMs: engine.clock.nowMs(),
      skewMs: clockSkewMs,
      isAfterFreeze: (version) => frozenAt !== null && parts.source.cameAfter(version, frozenAt),
    });
  }

  /**
   * @param view of the source, at or after the position at which it was frozen
   * @param onPage between two pages, with the last key that was compared; may throw to end it
   */
  async compare(
    view: StoreView,
    range: KeyRange,
    onPage: (last: Key) => Promise<void>,
    signal?: StopSignal,
  ): Promise<void> {
    const { engine, parts, sides } = this;
    for await (const page of joinOnline(engine, range, parts, view, signal)) {
      for (const joined of page) sides.see(joined);
      await sides.settleGone();
      engine.host.emit({ code: 'verify.progress', data: { keys: sides.keys } });
      const last = page.at(-1);
      if (last !== undefined) await onPage(last.key);
    }
  }

  /** What was found so far. */
  part(): ComparisonPart {
    return this.sides.part();
  }
}

class Sides {
  keys = 0;
  private readonly engine: Engine;
  private readonly terms: SidesTerms;
  private readonly hasher: RecordHasher;
  private readonly sourceSum = new BucketSums();
  private readonly targetSum = new BucketSums();
  private readonly permanentSum = new DigestSum();
  private readonly counts = { rewritten: 0, deleted: 0, expired: 0, targetOnly: 0 };
  private readonly differences = { named: [] as Difference[], total: 0 };
  private readonly strays = { named: [] as KeyJson[], total: 0 };
  private gone: Key[] = [];

  constructor(engine: Engine, plan: PlanDocument, terms: SidesTerms) {
    this.engine = engine;
    this.terms = terms;
    this.hasher = new RecordHasher(plan.salt);
  }

  see({ key, source, target }: JoinedKey): void {
    this.keys += 1;
    if (source !== null && source.expiresAtMs === null) this.permanentSum.add(this.hasher.hash(source));
    switch (judgeSides({ source, target }, this.terms)) {
      case 'equal':
        // Each side by its own content; whether it expires is the source's word on both.
        if (source === null || target === null || target.record === null) return;
        this.sourceSum.add(key, this.hasher.hash(source));
        this.targetSum.add(key, this.hasher.hash({ ...source, value: target.record.value }));
        return;
      case 'rewritten':
        this.counts.rewritten += 1;
        if (source === null) this.counts.targetOnly += 1;
        return;
      case 'deleted':
        this.counts.deleted += 1;
        return;
      case 'expired':
        this.counts.expired += 1;
        return;
      case 'missing':
        this.differs(key, 'missing in the target');
        return;
      case 'differs':
        this.differs(key, 'value differs');
        return;
      case 'stray':
        this.stray(key);
        return;
      case 'gone-from-source':
        this.gone.push(key);
    }
  }

  /** Of copies whose record is gone from the source: did its time end there, or did somebody delete it? */
  async settleGone(): Promise<void> {
    const { engine, gone } = this;
    this.gone = [];
    const { batchKeysMax } = engine.target.capabilities;
    for (let at = 0; at < gone.length; at += batchKeysMax) {
      const keys = gone.slice(at, at + batchKeysMax);
      const found = await withRetry(engine, 'look up copies', () => engine.target.lookUp(keys));
      for (const [i, record] of found.entries()) {
        if (record?.expiresAtMs === null) this.stray(keys[i] as Key);
        else this.counts.expired += 1;
      }
    }
  }

  part(): ComparisonPart {
    const [source, target] = [this.sourceSum.value(), this.targetSum.value()];
    const { rewritten, deleted, expired, targetOnly } = this.counts;
    return {
      source,
      target,
      differences: this.differences,
      rest: null,
      sourcePermanent: this.permanentSum.value(),
      kept: rewritten + deleted,
      targetOnly,
      expired,
      unplaced: 0,
      online: { rewritten, deleted, strays: this.strays },
    };
  }

  private differs(key: Key, what: DifferenceKind): void {
    this.differences.total += 1;
    if (this.differences.named.length < differencesNamed) this.differences.named.push({ key: keyToJson(key), what });
  }

  private stray(key: Key): void {
    this.strays.total += 1;
    if (this.strays.named.length < differencesNamed) this.strays.named.push(keyToJson(key));
  }
}

/** What the parts of a comparison mean together. */
export function onlineResult(
  part: ComparisonPart,
): Omit<OnlineVerification, 'sourcePosition' | 'targetPosition' | 'elapsedMs'> {
  const { source: sourceBuckets, target, differences, sourcePermanent, kept, targetOnly, expired } = part;
  const { rewritten, deleted, strays } = part.online ?? { rewritten: 0, deleted: 0, strays: { named: [], total: 0 } };
  const targetBuckets = target ?? sourceBuckets;
  return {
    verdict: differences.total + strays.total === 0 ? 'agree' : 'differ',
    source: totalOf(sourceBuckets),
    target: totalOf(targetBuckets),
    sourceBuckets,
    targetBuckets,
    sourcePermanent,
    kept,
    targetOnly,
    prunes: false,
    expired,
    differences: differences.named,
    differencesTotal: differences.total,
    rewritten,
    deleted,
    strays: strays.named,
    straysTotal: strays.total,
  };
}

/** What stands in the way of going on, in words; empty: nothing. */
export function obstaclesIn({ differencesTotal, straysTotal }: OnlineVerification): readonly string[] {
  return [
    ...(differencesTotal > 0 ? [`${differencesTotal} keys of the source are not in the target as they must be`] : []),
    ...(straysTotal > 0 ? [`${straysTotal} keys of the source were written after it was frozen`] : []),
  ];
}
