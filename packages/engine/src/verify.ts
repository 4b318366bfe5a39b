/**
 * Verify: do both sides agree? Reads both whole, in one merge, and compares digests of the verified set: the image of
 * the source under the rules, less the differences that the plan named and kept. Target keys that no source key maps
 * to are counted apart; one that the plan was to delete, and that is still there, is a difference. Differences are named; a feed or a count is never proof.
 */
import {
  ComparisonTotal,
  imageRule,
  type Difference,
  type Digest,
  type PlanDocument,
  type StopSignal,
  type MigrationSpec,
} from '@keyferry/core';
import { Comparison } from './comparison.ts';
import { assertNotStopped, type Engine } from './migration.ts';
import { openViews, spansOf } from './image.ts';
import { joinViews } from './pages.ts';

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
  /** Where both stood when they were opened; of a verification in slices, when it began. */
  readonly sourcePosition: string;
  readonly targetPosition: string;
  readonly elapsedMs: number;
}

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
  const total = new ComparisonTotal();
  total.add(comparison.part());
  return {
    ...total.verdict(plan.exceptions),
    prunes: plan.prune,
    sourcePosition: views.source.position,
    targetPosition: views.target.position,
    elapsedMs: engine.clock.monotonicMs() - startedAtMs,
  };
}
