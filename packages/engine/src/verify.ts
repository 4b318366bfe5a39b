/**
 * Verify: do both sides agree? Reads both whole, in one merge, and compares digests of the verified set: the image of
 * the source under the rules, less the differences that the plan named and kept. Target keys that no source key maps
 * to are counted apart; one that the plan was to delete, and that is still there, is a difference. Differences are named; a feed or a count is never proof.
 */
import {
  addBuckets,
  BucketSums,
  compareKeys,
  digestsEqual,
  DigestSum,
  ExceptionCheck,
  imageRule,
  keyToJson,
  RecordHasher,
  recordsEqual,
  totalOf,
  type Digest,
  type JoinVisitor,
  type Key,
  type KeyJson,
  type PlanDocument,
  type StopSignal,
  type StoredRecord,
  type Unplaced,
  type MigrationSpec,
} from '@keyferry/core';
import { assertNotStopped, type Engine } from './migration.ts';
import { openViews, spansOf } from './image.ts';
import { joinViews } from './pages.ts';

export interface Difference {
  readonly key: KeyJson;
  readonly what: typeof missing | typeof notDeleted | typeof withoutPlace | 'value differs' | 'expiry differs';
}

export interface VerifyResult {
  readonly verdict: 'agree' | 'differ';
  /** The verified set on each side; equal sums and counts mean equal sets. */
  readonly source: Digest;
  readonly target: Digest;
  /** The same in buckets by key: where sets differ, only some buckets do. */
  readonly sourceBuckets: readonly Digest[];
  readonly targetBuckets: readonly Digest[];
  /** Permanent records of the source, to be held against the plan: equal means that the source stood still. */
  readonly sourcePermanent: Digest;
  /** Differences that the plan named and that are as it kept them; fewer than planned where the source's TTL ended. */
  readonly kept: number;
  /** Target records that no source key maps to, and that the plan was not to delete. */
  readonly targetOnly: number;
  /** The plan deletes what only the target has: so those came after it, or the rules leave them out. */
  readonly prunes: boolean;
  /** Source records whose time ran out while they were read. */
  readonly expired: number;
  readonly differences: readonly Difference[];
  readonly differencesTotal: number;
  readonly sourcePosition: string;
  readonly targetPosition: string;
  readonly elapsedMs: number;
}

const missing = 'missing in the target';
const notDeleted = 'still in the target';
const withoutPlace = 'the rules find no place for it';

/** Differences named in the result; the rest is counted. */
const differencesNamed = 100;

/** @throws {KeyferryError} `run.interrupted` once `signal` has aborted. */
export async function verify(
  engine: Engine,
  spec: MigrationSpec,
  plan: PlanDocument,
  signal?: StopSignal,
): Promise<VerifyResult> {
  const startedAtMs = engine.clock.monotonicMs();
  const views = await openViews(engine, spec, signal);
  const comparison = new Comparison(plan, engine);
  try {
    await joinViews(engine, imageRule(spec).rule, views, spansOf(spec).source, comparison, (read) => {
      assertNotStopped(spec.migration, signal);
      engine.host.emit({ code: 'verify.progress', data: { keys: read.sourceKeys } });
    });
  } finally {
    await views.close();
  }
  return {
    ...comparison.result(),
    prunes: plan.prune,
    sourcePosition: views.source.position,
    targetPosition: views.target.position,
    elapsedMs: engine.clock.monotonicMs() - startedAtMs,
  };
}

class Comparison implements JoinVisitor {
  private readonly hasher: RecordHasher;
  private readonly exceptions: ExceptionCheck;
  private readonly deletions: ExceptionCheck;
  private readonly nowMs: number;
  private readonly comparesExpiry: boolean;
  private readonly sourceSum = new BucketSums();
  private readonly targetSum = new BucketSums();
  private readonly permanentSum = new DigestSum();
  private readonly differences = new Differences();
  private kept = 0;
  /** Past the plan's list of exceptions: differences until their digest says that they are the planned ones. */
  private readonly restSource = new BucketSums();
  private readonly restTarget = new BucketSums();
  private readonly rest = new Differences();
  private targetOnlyCount = 0;
  private expired = 0;
  private unplacedCount = 0;

  constructor(plan: PlanDocument, engine: Engine) {
    this.hasher = new RecordHasher(plan.salt);
    this.exceptions = new ExceptionCheck(this.hasher, plan.exceptions);
    this.deletions = new ExceptionCheck(this.hasher, plan.deletions);
    this.nowMs = engine.clock.nowMs();
    this.comparesExpiry = engine.target.capabilities.expiry;
  }

  sourceOnly(source: StoredRecord, targetKey: Key): void {
    this.countPermanent(source);
    if (source.expiresAtMs !== null && source.expiresAtMs <= this.nowMs) {
      this.expired += 1;
      return;
    }
    this.sourceSum.add(source.key, this.hasher.hash(source));
    this.differences.add(targetKey, missing);
  }

  matched(source: StoredRecord, target: StoredRecord): void {
    const expected = this.comparesExpiry ? source : { ...source, expiresAtMs: null };
    if (recordsEqual(expected, target)) {
      // What is equal has one hash, and is most of what there is.
      const hash = this.hasher.hash(expected);
      this.sourceSum.add(source.key, hash);
      this.targetSum.add(source.key, hash);
      if (source.expiresAtMs === null) this.permanentSum.add(hash);
      return;
    }
    this.countPermanent(source);
    // The target's content is hashed under the source's key, so that equal sets have equal sums.
    const found = { ...target, key: source.key };
    const judged = this.exceptions.judge(target);
    if (judged === 'kept') {
      this.kept += 1;
      return;
    }
    const sameValue = recordsEqual({ ...expected, expiresAtMs: null }, { ...found, expiresAtMs: null });
    const isRest = judged === 'rest';
    (isRest ? this.restSource : this.sourceSum).add(source.key, this.hasher.hash(expected));
    (isRest ? this.restTarget : this.targetSum).add(source.key, this.hasher.hash(found));
    (isRest ? this.rest : this.differences).add(target.key, sameValue ? 'expiry differs' : 'value differs');
  }

  targetOnly(target: StoredRecord): void {
    // Of the deletes past the plan's list only the counts of the chunks tell.
    if (this.deletions.judge(target) === 'kept') {
      this.targetSum.add(target.key, this.hasher.hash(target));
      this.differences.add(target.key, notDeleted);
      return;
    }
    this.targetOnlyCount += 1;
  }

  notCarried(): void {
    // Directories and the like have no image in the target; the plan counted them.
  }

  /** What a plan that was applied had none of: it cannot be where it belongs. */
  unplaced({ count, reason, sourceKeys }: Unplaced, targetKey: Key): void {
    this.unplacedCount += count;
    const [sourceKey = targetKey] = sourceKeys;
    this.differences.add(reason === 'key.collision' ? targetKey : sourceKey, withoutPlace);
  }

  result() {
    const restHolds = this.exceptions.restHolds();
    const none = new BucketSums();
    const sourceBuckets = addBuckets(this.sourceSum.value(), (restHolds ? none : this.restSource).value());
    const targetBuckets = addBuckets(this.targetSum.value(), (restHolds ? none : this.restTarget).value());
    const [source, target] = [totalOf(sourceBuckets), totalOf(targetBuckets)];
    return {
      verdict: digestsEqual(source, target) && this.unplacedCount === 0 ? ('agree' as const) : ('differ' as const),
      source,
      target,
      sourceBuckets,
      targetBuckets,
      sourcePermanent: this.permanentSum.value(),
      kept: this.kept + (restHolds ? this.rest.total : 0),
      targetOnly: this.targetOnlyCount,
      expired: this.expired,
      differences: restHolds ? this.differences.named() : this.differences.namedWith(this.rest),
      differencesTotal: this.differences.total + (restHolds ? 0 : this.rest.total),
    };
  }

  private countPermanent(source: StoredRecord): void {
    if (source.expiresAtMs === null) this.permanentSum.add(this.hasher.hash(source));
  }
}

/** Differences in the order of their keys: the first ones by name, all by count. */
class Differences {
  private readonly first: { readonly key: Key; readonly what: Difference['what'] }[] = [];
  total = 0;

  add(key: Key, what: Difference['what']): void {
    this.total += 1;
    if (this.first.length < differencesNamed) this.first.push({ key, what });
  }

  named(): readonly Difference[] {
    return this.first.map(({ key, what }) => ({ key: keyToJson(key), what }));
  }

  namedWith(others: Differences): readonly Difference[] {
    const both = new Differences();
    for (const { key, what } of [...this.first, ...others.first].toSorted((a, b) => compareKeys(a.key, b.key))) {
      both.add(key, what);
    }
    return both.named();
  }
}
