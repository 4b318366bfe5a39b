/**
 * Digest: what a set of records is, as a count and a sum of 128-bit hashes. Order-free, so that chunks add up in any
 * order and a checkpoint can carry a running one. A sum, not XOR: a record counted twice must not cancel out.
 *
 * Over key, value and whether the record expires; not over the time left, which moves by itself.
 */
import type { PackedPage } from '../model/packed-page.ts';
import { Hasher, lanes, lanesFromHex, lanesToHex, type Lanes } from './hash128.ts';

/** `count` records whose salted hashes add up to `sum` (32 hexadecimal digits). */
export interface Digest {
  readonly count: number;
  readonly sum: string;
}

/** 32 hexadecimal digits, random for each plan. */
export type Salt = string;

export interface DigestedRecord {
  readonly key: string;
  readonly value: Uint8Array;
  readonly expiresAtMs: number | null;
}

export const emptyDigest: Digest = { count: 0, sum: '0'.repeat(32) };

const noBytes = new Uint8Array();

/** Hashes records of one plan. One of them serves one caller: it reuses its memory. */
export class RecordHasher {
  private readonly seed: Lanes;
  private readonly scratch = lanes();
  private readonly hasher = new Hasher();

  constructor(salt: Salt) {
    const seed = lanesFromHex(salt);
    if (seed === null) throw new RangeError('a salt is 32 hexadecimal digits');
    this.seed = seed;
  }

  /** The hash of one record; valid until the next call. */
  hash(record: DigestedRecord): Lanes {
    const { scratch } = this;
    this.seedFor(record.expiresAtMs, record.key.length);
    this.hasher.hashPair(scratch, record.key, record.value);
    return scratch;
  }

  /** As `hash`, of a record of a packed page where it lies. Null: it has to be made first. */
  hashPacked({ view, packed }: PackedPage, index: number): Lanes | null {
    const { scratch } = this;
    const at = 4 * index;
    const start = packed.spans[at] as number;
    const keyEnd = packed.spans[at + 1] as number;
    if (packed.spans[at + 2] !== keyEnd) return null;
    this.seedFor(packed.expiresAtMsOf(index), keyEnd - start);
    return this.hasher.hashSpan(scratch, view, start, keyEnd, packed.spans[at + 3] as number) ? scratch : null;
  }

  /** Whether it expires and where the key ends go into the seed: fields cannot run together. */
  private seedFor(expiresAtMs: number | null, keyLength: number): void {
    const { seed, scratch } = this;
    scratch[0] = (seed[0] as number) ^ (expiresAtMs === null ? 0 : 0x5bd1e995);
    scratch[1] = (seed[1] as number) ^ keyLength;
    scratch[2] = seed[2] as number;
    scratch[3] = seed[3] as number;
  }

  /** As `hash`, over the version too: for records of a target that a plan rests on. */
  hashVersioned(record: DigestedRecord & { readonly version: string }): Lanes {
    const hash = this.hash(record);
    this.hasher.hashPair(hash, record.version, noBytes);
    return hash;
  }

  /** Short form for plan rows: the first 16 digits. */
  short(record: DigestedRecord): string {
    return lanesToHex(this.hash(record), 2);
  }

  /** Short form of `hashVersioned`. */
  shortVersioned(record: DigestedRecord & { readonly version: string }): string {
    return lanesToHex(this.hashVersioned(record), 2);
  }
}

/** A running digest. */
export class DigestSum {
  private count: number;
  private readonly sum: Lanes;

  constructor(from: Digest = emptyDigest) {
    const sum = lanesFromHex(from.sum);
    if (sum === null) throw new RangeError('a digest sum is 32 hexadecimal digits');
    this.count = from.count;
    this.sum = sum;
  }

  add(hash: Lanes): void {
    this.count += 1;
    addLanes(this.sum, hash);
  }

  value(): Digest {
    return { count: this.count, sum: lanesToHex(this.sum) };
  }
}

export function addDigests(a: Digest, b: Digest): Digest {
  const left = lanesFromHex(a.sum);
  const right = lanesFromHex(b.sum);
  if (left === null || right === null) throw new RangeError('a digest sum is 32 hexadecimal digits');
  addLanes(left, right);
  return { count: a.count + b.count, sum: lanesToHex(left) };
}

export function digestsEqual(a: Digest, b: Digest): boolean {
  return a.count === b.count && a.sum === b.sum;
}

/** 128-bit addition, wrapping. Lanes stay machine words; unsigned, a sum is less than what went into it if it carried. */
function addLanes(into: Lanes, other: Lanes): void {
  let carry = 0;
  for (let i = 3; i >= 0; i -= 1) {
    const lane = into[i] as number;
    const sum = (lane + (other[i] as number)) | 0;
    const withCarry = (sum + carry) | 0;
    into[i] = withCarry;
    carry = sum >>> 0 < lane >>> 0 || (carry === 1 && withCarry === 0) ? 1 : 0;
  }
}
