/**
 * Comparison: what a merge of both sides means for the verified set. The visitor of a join over a whole migration or over
 * a part of it; what it found adds up in core (convergence/comparison-part.ts).
 */
import {
  bytesEqual,
  changedRecord,
  bucketOfPacked,
  BucketSums,
  differencesNamed,
  DigestSum,
  ExceptionCheck,
  keyToJson,
  RecordHasher,
  recordsEqual,
  type ComparisonPart,
  type Difference,
  type Digest,
  type DifferenceKind,
  type JoinVisitor,
  type Key,
  type NamedDifferences,
  type PackedPage,
  type PlanDocument,
  type StoredRecord,
  type Unplaced,
} from '@keyferry/core';
import type { Engine } from './migration.ts';

export class Comparison implements JoinVisitor {
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
    this.differences.add(targetKey, 'missing in the target');
  }

  /** What is equal and stays, which is most of what there is, costs no object. */
  matchedPacked(source: PackedPage, sourceIndex: number, target: PackedPage, targetIndex: number): boolean {
    if (!source.samePermanentValue(sourceIndex, target, targetIndex)) return false;
    const hash = this.hasher.hashPacked(source, sourceIndex);
    if (hash === null) return false;
    const bucket = bucketOfPacked(source, sourceIndex);
    this.sourceSum.addTo(bucket, hash);
    this.targetSum.addTo(bucket, hash);
    this.permanentSum.add(hash);
    return true;
  }

  matched(source: StoredRecord, target: StoredRecord): void {
    const expected = this.comparesExpiry ? source : changedRecord(source, { expiresAtMs: null });
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
    const found = changedRecord(target, { key: source.key });
    const judged = this.exceptions.judge(target);
    if (judged === 'kept') {
      this.kept += 1;
      return;
    }
    const sameValue = bytesEqual(expected.value, found.value);
    const isRest = judged === 'rest';
    (isRest ? this.restSource : this.sourceSum).add(source.key, this.hasher.hash(expected));
    (isRest ? this.restTarget : this.targetSum).add(source.key, this.hasher.hash(found));
    (isRest ? this.rest : this.differences).add(target.key, sameValue ? 'expiry differs' : 'value differs');
  }

  targetOnly(target: StoredRecord): void {
    // Of the deletes past the plan's list only the counts of the chunks tell.
    if (this.deletions.judge(target) === 'kept') {
      this.targetSum.add(target.key, this.hasher.hash(target));
      this.differences.add(target.key, 'still in the target');
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
    this.differences.add(reason === 'key.collision' ? targetKey : sourceKey, 'the rules find no place for it');
  }

  /** What was found so far. */
  part(): ComparisonPart {
    const source = this.sourceSum.value();
    const target = this.targetSum.value();
    return {
      source,
      target: equalBuckets(source, target) ? null : target,
      differences: this.differences.value(),
      rest:
        this.rest.total === 0
          ? null
          : {
              source: this.restSource.value(),
              target: this.restTarget.value(),
              differences: this.rest.value(),
              found: this.exceptions.restFound(),
            },
      sourcePermanent: this.permanentSum.value(),
      kept: this.kept,
      targetOnly: this.targetOnlyCount,
      expired: this.expired,
      unplaced: this.unplacedCount,
    };
  }

  private countPermanent(source: StoredRecord): void {
    if (source.expiresAtMs === null) this.permanentSum.add(this.hasher.hash(source));
  }
}

function equalBuckets(a: readonly Digest[], b: readonly Digest[]): boolean {
  return a.every(({ count, sum }, i) => count === b[i]?.count && sum === b[i].sum);
}

/** The first ones by name, all by count. */
class Differences {
  private readonly first: { readonly key: Key; readonly what: DifferenceKind }[] = [];
  total = 0;

  add(key: Key, what: DifferenceKind): void {
    this.total += 1;
    if (this.first.length < differencesNamed) this.first.push({ key, what });
  }

  value(): NamedDifferences {
    const named = this.first.map(({ key, what }): Difference => ({ key: keyToJson(key), what }));
    return { named, total: this.total };
  }
}
