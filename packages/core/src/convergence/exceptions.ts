/**
 * Exceptions: target records that differ from the source and that the plan keeps. Verify admits these and no others.
 *
 *     kept records by key:   |<-- listed, one by one -->|<-- rest, one digest -->|
 *                                               listedTo
 *
 * Each is a salted hash of key, version and value. One by one, a key that changed is named and a key whose source record
 * expired is missed by nobody; of a digest alone one could only say that it is another one, and blame all its keys. The
 * list is in the plan that the state holds, so it is bounded; whoever keeps more than that has only the digest there.
 */
import { keyFromJson, keyToJson, type Key, type KeyJson } from '../model/key.ts';
import type { StoredRecord } from '../model/record.ts';
import { DigestSum, emptyDigest, type Digest, type RecordHasher } from './digest.ts';

/** About 190 KB of JSON. */
const listedMax = 10_000;

export interface Exceptions {
  /** Of all of them: those whose source record expires, so that as many fewer may be found. */
  readonly expiring: number;
  /** 16 hexadecimal digits each, in the order of the target keys. */
  readonly listed: readonly string[];
  /** The last target key that the list answers for; null: it answers for all. */
  readonly listedTo: KeyJson | null;
  /** Those behind `listedTo`. */
  readonly rest: Digest;
}

export const noExceptions: Exceptions = { expiring: 0, listed: [], listedTo: null, rest: emptyDigest };

export class ExceptionList {
  private readonly hasher: RecordHasher;
  private readonly max: number;
  private readonly listed: string[] = [];
  private last: Key | null = null;
  private readonly rest = new DigestSum();
  private expiring = 0;

  constructor(hasher: RecordHasher, max = listedMax) {
    this.hasher = hasher;
    this.max = max;
  }

  /** In ascending order of the target keys. */
  add(target: StoredRecord, sourceExpires: boolean): void {
    if (sourceExpires) this.expiring += 1;
    if (this.listed.length < this.max) {
      this.listed.push(this.hasher.shortVersioned(target));
      this.last = target.key;
    } else {
      this.rest.add(this.hasher.hashVersioned(target));
    }
  }

  value(): Exceptions {
    const { expiring, listed, last } = this;
    const rest = this.rest.value();
    return { expiring, listed, listedTo: rest.count === 0 || last === null ? null : keyToJson(last), rest };
  }
}

/** Holds records that differ against the exceptions of a plan. */
export class ExceptionCheck {
  private readonly hasher: RecordHasher;
  private readonly listed: ReadonlySet<string>;
  private readonly listedTo: Key | null;
  private readonly rest = new DigestSum();

  constructor(hasher: RecordHasher, { listed, listedTo }: Omit<Exceptions, 'rest'>) {
    this.hasher = hasher;
    this.listed = new Set(listed);
    this.listedTo = listedTo === null ? null : keyFromJson(listedTo);
  }

  /** kept: as the plan kept it. rest: only `restFound` tells, once all were asked for. Ask once for each record. */
  judge(target: StoredRecord): 'kept' | 'other' | 'rest' {
    if (this.listedTo === null || target.key <= this.listedTo) {
      return this.listed.has(this.hasher.shortVersioned(target)) ? 'kept' : 'other';
    }
    this.rest.add(this.hasher.hashVersioned(target));
    return 'rest';
  }

  /** Of all that were judged to be of the rest. It is as the plan kept it when this is the plan's own digest of it. */
  restFound(): Digest {
    return this.rest.value();
  }
}
