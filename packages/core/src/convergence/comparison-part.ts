/**
 * What a comparison of both sides found in one range of keys, and how ranges add up. Digests are sums, so a verification may
 * be done in any number of parts, by anybody, in any order; only the names of differences are wanted in order.
 *
 *     part of a chunk ┐
 *     part of a chunk ┼──► ComparisonTotal ──► as if both sides had been read in one go
 *     part of a chunk ┘
 *
 * Past the list of a plan's exceptions (exceptions.ts) it takes all parts to know whether the rest is as it was kept; until
 * then those records wait apart.
 */
import { compareKeys, keyFromJson, type KeyJson } from '../model/key.ts';
import { addBuckets, totalOf } from './buckets.ts';
import { addDigests, digestsEqual, emptyDigest, type Digest } from './digest.ts';
import type { Exceptions } from './exceptions.ts';

export type DifferenceKind =
  | 'missing in the target'
  | 'still in the target'
  | 'the rules find no place for it'
  | 'value differs'
  | 'expiry differs';

export interface Difference {
  readonly key: KeyJson;
  readonly what: DifferenceKind;
}

/** The first differences by name, all by count. */
export interface NamedDifferences {
  readonly named: readonly Difference[];
  readonly total: number;
}

/** What applications did while both stores were theirs (strategy `dual-read`). */
export interface OnlineFindings {
  /** Keys that an application wrote in the target, over a copy or new. */
  readonly rewritten: number;
  /** Keys that it deleted, copied or not. */
  readonly deleted: number;
  /** Written in the source by somebody who does not follow the switch: the first by name, all by count. */
  readonly strays: { readonly named: readonly KeyJson[]; readonly total: number };
}

/** Plain JSON, of a size that does not grow with the range. */
export interface ComparisonPart {
  readonly source: readonly Digest[];
  /** Null: as the source. */
  readonly target: readonly Digest[] | null;
  readonly differences: NamedDifferences;
  /** What differs past the plan's list of exceptions, and the digest of the versions found there; null: nothing does. */
  readonly rest: {
    readonly source: readonly Digest[];
    readonly target: readonly Digest[];
    readonly differences: NamedDifferences;
    readonly found: Digest;
  } | null;
  readonly sourcePermanent: Digest;
  readonly kept: number;
  readonly targetOnly: number;
  readonly expired: number;
  readonly unplaced: number;
  /** Absent: no application took part. */
  readonly online?: OnlineFindings;
}

/** Differences named in a result; the rest is counted. */
export const differencesNamed = 100;

const noDifferences: NamedDifferences = { named: [], total: 0 };

/** Adds up parts, in any order. */
export class ComparisonTotal {
  private source: readonly Digest[] = [];
  private target: readonly Digest[] = [];
  private differences = noDifferences;
  private restSource: readonly Digest[] = [];
  private restTarget: readonly Digest[] = [];
  private restFound = emptyDigest;
  private rest = noDifferences;
  private sourcePermanent = emptyDigest;
  private kept = 0;
  private targetOnly = 0;
  private expired = 0;
  private unplaced = 0;
  private online: OnlineFindings | undefined;

  add(part: ComparisonPart): void {
    const { source, target, differences, rest } = part;
    this.source = addBuckets(source, this.source);
    this.target = addBuckets(target ?? source, this.target);
    this.differences = joined(this.differences, differences);
    this.sourcePermanent = addDigests(this.sourcePermanent, part.sourcePermanent);
    this.kept += part.kept;
    this.targetOnly += part.targetOnly;
    this.expired += part.expired;
    this.unplaced += part.unplaced;
    this.online = joinedOnline(this.online, part.online);
    if (rest === null) return;
    this.restSource = addBuckets(rest.source, this.restSource);
    this.restTarget = addBuckets(rest.target, this.restTarget);
    this.restFound = addDigests(this.restFound, rest.found);
    this.rest = joined(this.rest, rest.differences);
  }

  /** One part in place of all that were added. */
  part(): ComparisonPart {
    const { source, target, differences, sourcePermanent, kept, targetOnly, expired, unplaced } = this;
    const hasRest = this.rest.total > 0 || this.restFound.count > 0;
    return {
      source,
      target: sameBuckets(source, target) ? null : target,
      differences,
      rest: hasRest
        ? { source: this.restSource, target: this.restTarget, differences: this.rest, found: this.restFound }
        : null,
      sourcePermanent,
      kept,
      targetOnly,
      expired,
      unplaced,
      ...(this.online === undefined ? {} : { online: this.online }),
    };
  }

  /** The verdict over all that was added, under the exceptions that the plan kept. */
  verdict(exceptions: Exceptions) {
    const restHolds = digestsEqual(this.restFound, exceptions.rest);
    const sourceBuckets = restHolds ? this.source : addBuckets(this.source, this.restSource);
    const targetBuckets = restHolds ? this.target : addBuckets(this.target, this.restTarget);
    const [source, target] = [totalOf(sourceBuckets), totalOf(targetBuckets)];
    const differences = restHolds ? this.differences : joined(this.differences, this.rest);
    return {
      verdict: digestsEqual(source, target) && this.unplaced === 0 ? ('agree' as const) : ('differ' as const),
      source,
      target,
      sourceBuckets,
      targetBuckets,
      sourcePermanent: this.sourcePermanent,
      kept: this.kept + (restHolds ? this.rest.total : 0),
      targetOnly: this.targetOnly,
      expired: this.expired,
      differences: differences.named,
      differencesTotal: differences.total,
    };
  }
}

function joined(a: NamedDifferences, b: NamedDifferences): NamedDifferences {
  const total = a.total + b.total;
  if (a.total === 0 || b.total === 0) return { named: [...a.named, ...b.named], total };
  const named = [...a.named, ...b.named].toSorted((x, y) => compareKeys(keyFromJson(x.key), keyFromJson(y.key)));
  return { named: named.slice(0, differencesNamed), total };
}

function joinedOnline(a: OnlineFindings | undefined, b: OnlineFindings | undefined): OnlineFindings | undefined {
  if (a === undefined || b === undefined) return a ?? b;
  const named = [...a.strays.named, ...b.strays.named].toSorted((x, y) => compareKeys(keyFromJson(x), keyFromJson(y)));
  return {
    rewritten: a.rewritten + b.rewritten,
    deleted: a.deleted + b.deleted,
    strays: { named: named.slice(0, differencesNamed), total: a.strays.total + b.strays.total },
  };
}

function sameBuckets(a: readonly Digest[], b: readonly Digest[]): boolean {
  return a.length === b.length && a.every((digest, i) => digestsEqual(digest, b[i] ?? emptyDigest));
}
