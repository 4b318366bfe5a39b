/**
 * How one chunk is compared, and what all of them mean together: both sides as they are, or, where applications take part,
 * as applications may have changed them (strategies/dual-read/verify-online.ts). A verification in slices asks nothing else
 * of a strategy.
 */
import {
  ComparisonTotal,
  imageRule,
  keyAfter,
  toSourceKey,
  type ComparisonPart,
  type Key,
  type KeyRange,
  type MigrationSpec,
  type PlanDocument,
  type PlannedChunk,
  type Position,
} from '@keyferry/core';
import type { BackfillSummary } from '../backfill-summary.ts';
import { Comparison } from '../comparison.ts';
import { deviationsOf } from '../deviations.ts';
import type { Views } from '../image.ts';
import type { Engine } from '../migration.ts';
import { joinViews } from '../pages.ts';
import { chunkRange } from '../staleness.ts';
import { onlineParts } from '../strategies/dual-read/online.ts';
import { emitStrays, obstaclesIn, OnlineComparison, onlineResult } from '../strategies/dual-read/verify-online.ts';
import type { VerifyResult } from '../verify.ts';
import { PartialComparison, type Reached } from './partial-comparison.ts';

/** Asked between two pages, with a way to learn what was found up to which key; false stops it. */
type GoesOn = (soFar: () => Reached | null) => Promise<boolean>;

export interface ChunkComparison {
  /**
   * Compares a chunk, from behind a key on.
   * @returns null when it was stopped
   */
  compare(views: Views, chunk: PlannedChunk, cursor: Key | null, goesOn: GoesOn): Promise<ComparisonPart | null>;
  /** @param total of all chunks */
  judge(total: ComparisonTotal, about: About, summary: BackfillSummary): Judged;
}

type About = Pick<VerifyResult, 'sourcePosition' | 'targetPosition' | 'elapsedMs'>;

export interface Judged {
  readonly verified: VerifyResult;
  /** In words; empty: all is as planned. */
  readonly deviations: readonly string[];
}

/** @param frozenAt where applications left the source; of no meaning where they take no part */
export function chunkComparison(
  engine: Engine,
  spec: MigrationSpec,
  plan: PlanDocument,
  frozenAt: Position | null,
): ChunkComparison {
  return spec.strategy === 'dual-read'
    ? new WhileApplicationsWrite(engine, spec, plan, frozenAt)
    : new OfBothSides(engine, spec, plan);
}

/** What is left of a chunk's range. */
function rangeBehind(chunk: PlannedChunk, spec: MigrationSpec, cursor: Key | null): KeyRange {
  const whole = chunkRange(chunk, spec);
  return cursor === null ? whole : { ...whole, start: toSourceKey(imageRule(spec).rule, keyAfter(cursor)) };
}

class OfBothSides implements ChunkComparison {
  private readonly engine: Engine;
  private readonly spec: MigrationSpec;
  private readonly plan: PlanDocument;

  constructor(engine: Engine, spec: MigrationSpec, plan: PlanDocument) {
    this.engine = engine;
    this.spec = spec;
    this.plan = plan;
  }

  async compare(views: Views, chunk: PlannedChunk, cursor: Key | null, goesOn: GoesOn): Promise<ComparisonPart | null> {
    const { engine, spec, plan } = this;
    const { rule } = imageRule(spec);
    const visitor = new PartialComparison(new Comparison(plan, engine), rule.targetPrefix);
    return await unlessStopped(async () => {
      await joinViews(engine, rule, views, rangeBehind(chunk, spec, cursor), visitor, async (read) => {
        engine.host.emit({ code: 'verify.progress', data: { keys: read.sourceKeys } });
        if (!(await goesOn(() => visitor.reached()))) throw new Stopped();
      });
      return visitor.whole();
    });
  }

  judge(total: ComparisonTotal, about: About, summary: BackfillSummary): Judged {
    const { prune: prunes, exceptions } = this.plan;
    const verified = { ...total.verdict(exceptions), prunes, ...about };
    return { verified, deviations: deviationsOf(this.plan, summary, verified) };
  }
}

class WhileApplicationsWrite implements ChunkComparison {
  private readonly engine: Engine;
  private readonly spec: MigrationSpec;
  private readonly terms: { readonly plan: PlanDocument; readonly frozenAt: Position | null };

  constructor(engine: Engine, spec: MigrationSpec, plan: PlanDocument, frozenAt: Position | null) {
    this.engine = engine;
    this.spec = spec;
    this.terms = { plan, frozenAt };
  }

  async compare(
    { source }: Views,
    chunk: PlannedChunk,
    cursor: Key | null,
    goesOn: GoesOn,
  ): Promise<ComparisonPart | null> {
    const { engine, spec, terms } = this;
    const comparison = new OnlineComparison(engine, onlineParts(engine, spec), terms);
    return await unlessStopped(async () => {
      await comparison.compare(source, rangeBehind(chunk, spec, cursor), async (key) => {
        if (!(await goesOn(() => ({ key, part: comparison.part() })))) throw new Stopped();
      });
      return comparison.part();
    });
  }

  judge(total: ComparisonTotal, about: About): Judged {
    const verified = { ...onlineResult(total.part()), ...about };
    emitStrays(this.engine, verified);
    return { verified, deviations: obstaclesIn(verified) };
  }
}

async function unlessStopped<T>(work: () => Promise<T>): Promise<T | null> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof Stopped)) throw error;
    return null;
  }
}

class Stopped extends Error {}
