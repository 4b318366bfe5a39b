/**
 * Verify: do both sides agree? Reads both whole, in one merge, and compares digests of the verified set: the image of
 * the source under the rules, less the differences that the plan named and kept. Target keys that no source key maps
 * to are counted apart. Differences are named; a feed or a count is never proof.
 */
import {
  addDigests,
  digestsEqual,
  DigestSum,
  keyForDisplay,
  RecordHasher,
  recordsEqual,
  type Digest,
  type JoinVisitor,
  type Key,
  type PlanDocument,
  type StoredRecord,
} from '@keyferry/core';
import type { Engine, MigrationSpec } from './migration.ts';
import { joinViews, openViews } from './pages.ts';
import { spansOf } from './plan.ts';

export interface Difference {
  readonly key: string;
  readonly what: typeof missing | 'value differs' | 'expiry differs';
}

export interface VerifyResult {
  readonly verdict: 'agree' | 'differ';
  /** The verified set on each side; equal sums and counts mean equal sets. */
  readonly source: Digest;
  readonly target: Digest;
  /** Permanent records of the source, to be held against the plan: equal means that the source stood still. */
  readonly sourcePermanent: Digest;
  /** Differences that the plan named and kept. */
  readonly kept: number;
  readonly targetOnly: number;
  /** Source records whose time ran out while they were read. */
  readonly expired: number;
  readonly differences: readonly Difference[];
  readonly differencesTotal: number;
  readonly sourcePosition: string;
  readonly targetPosition: string;
  readonly elapsedMs: number;
}

const missing = 'missing in the target';

/** Differences named in the result; the rest is counted. */
const differencesNamed = 100;

export async function verify(engine: Engine, spec: MigrationSpec, plan: PlanDocument): Promise<VerifyResult> {
  const startedAtMs = engine.clock.monotonicMs();
  const spans = spansOf(spec);
  const views = await openViews(engine, engine, spans);
  const comparison = new Comparison(plan, engine);
  try {
    await joinViews(engine, spec.rule, views, spans.source, comparison, (read) => {
      engine.host.emit({ code: 'verify.progress', data: { keys: read.sourceKeys } });
      return Promise.resolve();
    });
  } finally {
    await views.close();
  }
  return {
    ...comparison.result(),
    sourcePosition: views.source.position,
    targetPosition: views.target.position,
    elapsedMs: engine.clock.monotonicMs() - startedAtMs,
  };
}

class Comparison implements JoinVisitor {
  private readonly plan: PlanDocument;
  private readonly hasher: RecordHasher;
  private readonly nowMs: number;
  private readonly comparesExpiry: boolean;
  private readonly sourceSum = new DigestSum();
  private readonly targetSum = new DigestSum();
  private readonly permanentSum = new DigestSum();
  /** Target records that differ, with versions: the plan's exceptions if they are the ones that it kept. */
  private readonly differing = new DigestSum();
  private readonly differingSource = new DigestSum();
  private readonly differingTarget = new DigestSum();
  private readonly differences: Difference[] = [];
  private differencesTotal = 0;
  private targetOnlyCount = 0;
  private expired = 0;

  constructor(plan: PlanDocument, engine: Engine) {
    this.plan = plan;
    this.hasher = new RecordHasher(plan.salt);
    this.nowMs = engine.clock.nowMs();
    this.comparesExpiry = engine.target.capabilities.expiry;
  }

  sourceOnly(source: StoredRecord, targetKey: Key): void {
    this.countPermanent(source);
    if (source.expiresAtMs !== null && source.expiresAtMs <= this.nowMs) {
      this.expired += 1;
      return;
    }
    this.sourceSum.add(this.hasher.hash(source));
    this.differ(targetKey, missing);
  }

  matched(source: StoredRecord, target: StoredRecord): void {
    this.countPermanent(source);
    const expected = this.comparesExpiry ? source : { ...source, expiresAtMs: null };
    // The target's content is hashed under the source's key, so that equal sets have equal sums.
    const found = { ...target, key: source.key };
    if (recordsEqual(expected, found)) {
      this.sourceSum.add(this.hasher.hash(expected));
      this.targetSum.add(this.hasher.hash(found));
      return;
    }
    this.differing.add(this.hasher.hashVersioned(target));
    this.differingSource.add(this.hasher.hash(expected));
    this.differingTarget.add(this.hasher.hash(found));
    const sameValue = recordsEqual({ ...expected, expiresAtMs: null }, { ...found, expiresAtMs: null });
    this.differ(target.key, sameValue ? 'expiry differs' : 'value differs');
  }

  targetOnly(_target: StoredRecord): void {
    this.targetOnlyCount += 1;
  }

  notCarried(): void {
    // Directories and the like have no image in the target; the plan counted them.
  }

  result() {
    const differing = this.differing.value();
    const exceptionsHold = digestsEqual(differing, this.plan.exceptions);
    const kept = exceptionsHold ? differing.count : 0;
    const source = this.sourceSum.value();
    const target = this.targetSum.value();
    const sides = exceptionsHold
      ? { source, target }
      : {
          source: addDigests(source, this.differingSource.value()),
          target: addDigests(target, this.differingTarget.value()),
        };
    const agree = digestsEqual(sides.source, sides.target);
    return {
      verdict: agree ? ('agree' as const) : ('differ' as const),
      ...sides,
      sourcePermanent: this.permanentSum.value(),
      kept,
      targetOnly: this.targetOnlyCount,
      expired: this.expired,
      differences: agree ? [] : this.differences.filter(({ what }) => !exceptionsHold || what === missing),
      differencesTotal: agree ? 0 : this.differencesTotal - kept,
    };
  }

  private countPermanent(source: StoredRecord): void {
    if (source.expiresAtMs === null) this.permanentSum.add(this.hasher.hash(source));
  }

  private differ(key: Key, what: Difference['what']): void {
    this.differencesTotal += 1;
    if (this.differences.length < differencesNamed) this.differences.push({ key: keyForDisplay(key), what });
  }
}
