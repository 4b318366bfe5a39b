/**
 * A digest in buckets by key: the same sums, so that where two sets differ, only some buckets do. A record's key alone
 * chooses the bucket, so that both sides of a comparison have it in the same one.
 */
import type { PackedPage } from '../model/packed-page.ts';
import { addDigests, DigestSum, emptyDigest, type Digest } from './digest.ts';
import type { Lanes } from './hash128.ts';

export const bucketCount = 16;

/** FNV-1a over the key's bytes: even enough to spread keys, and nothing rests on it. */
export function bucketOf(key: string): number {
  let hash = fnvBasis;
  for (let i = 0; i < key.length; i += 1) hash = Math.imul(hash ^ key.charCodeAt(i), fnvPrime);
  return bucketOfHash(hash);
}

/** As `bucketOf`, of a record of a packed page where it lies. */
export function bucketOfPacked({ view, packed: { spans } }: PackedPage, index: number): number {
  const end = spans[4 * index + 1] as number;
  let hash = fnvBasis;
  for (let at = spans[4 * index] as number; at < end; at += 1) hash = Math.imul(hash ^ view.getUint8(at), fnvPrime);
  return bucketOfHash(hash);
}

const fnvBasis = 0x811c9dc5;
const fnvPrime = 0x01000193;
const bucketOfHash = (hash: number): number => (hash ^ (hash >>> 15)) & (bucketCount - 1);

export class BucketSums {
  private readonly sums = Array.from({ length: bucketCount }, () => new DigestSum());

  add(key: string, hash: Lanes): void {
    this.addTo(bucketOf(key), hash);
  }

  addTo(bucket: number, hash: Lanes): void {
    (this.sums[bucket] as DigestSum).add(hash);
  }

  value(): readonly Digest[] {
    return this.sums.map((sum) => sum.value());
  }
}

export function addBuckets(a: readonly Digest[], b: readonly Digest[]): readonly Digest[] {
  return a.map((digest, i) => addDigests(digest, b[i] ?? emptyDigest));
}

/** The digest of the whole set. */
export function totalOf(buckets: readonly Digest[]): Digest {
  return buckets.reduce(addDigests, emptyDigest);
}
