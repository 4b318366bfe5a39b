/**
 * Leases, both ways: when a record that hangs on one ends, and one to hang a record on.
 *
 * Writing, records share leases: an expiry is rounded up to a multiple of the bucket, and there is one lease a bucket,
 * granted when first needed. A lease of its own for each record would cost a consensus round a record and slow every
 * later leader change; the price is that a record may outlive its expiry by up to a bucket, which the capabilities say.
 * It never ends early: what is left is rounded up, and the server counts from after the request was sent.
 *
 * A lease ends by itself. One that was granted for a batch that never came costs nothing but its line until then.
 */
import { invariant, type Key } from '@keyferry/core';
import type { EtcdClient } from './client.ts';

/** etcd grants no less: 1.5 election timeouts in whole seconds (lease/lessor.go, minTTL; measured 3.3 to 3.5). */
const ttlMinSeconds = 2;
/** 285 years; the server refuses more (lease/lessor.go, MaxLeaseTTL). */
const ttlMaxSeconds = 9_000_000_000;

/** What says nothing of an expiry, such as a delete, needs no lease. */
interface Expiring {
  readonly key?: Key;
  readonly expiresAtMs?: number | null;
}

export class LeasePool {
  private readonly client: EtcdClient;
  private readonly bucketMs: number;
  private readonly nowMs: () => number;
  private readonly ids = new Map<number, Promise<string>>();

  constructor(client: EtcdClient, bucketMs: number, nowMs: () => number) {
    this.client = client;
    this.bucketMs = bucketMs;
    this.nowMs = nowMs;
  }

  /** One promise a batch: the lease for each distinct bucket. Null when none of the changes at `indexes` expires. */
  async leasesFor(changes: readonly Expiring[], indexes: readonly number[]): Promise<LeaseLookup | null> {
    const nowMs = this.nowMs();
    const buckets = new Set<number>();
    for (const index of indexes) {
      const expiresAtMs = changes[index]?.expiresAtMs ?? null;
      if (expiresAtMs !== null) buckets.add(this.bucketOf(expiresAtMs, nowMs));
    }
    if (buckets.size === 0) return null;
    const ids = new Map<number, string>();
    await Promise.all([...buckets].map(async (bucket) => ids.set(bucket, await this.leaseOf(bucket, nowMs))));
    const leaseFor = (expiresAtMs: number): string => {
      const id = ids.get(this.bucketOf(expiresAtMs, nowMs));
      invariant(id !== undefined, `no lease for a record that ends at ${expiresAtMs}`);
      return id;
    };
    return { leaseFor, buckets };
  }

  /** After the server said that a lease of the batch is gone; it does not say which. */
  forget(lookup: LeaseLookup): void {
    for (const bucket of lookup.buckets) this.ids.delete(bucket);
  }

  /** The end of the bucket. What has expired already gets the shortest life there is: the engine drops it before. */
  private bucketOf(expiresAtMs: number, nowMs: number): number {
    return Math.ceil(Math.max(expiresAtMs, nowMs) / this.bucketMs) * this.bucketMs;
  }

  private leaseOf(bucketEndsAtMs: number, nowMs: number): Promise<string> {
    const known = this.ids.get(bucketEndsAtMs);
    if (known !== undefined) return known;
    for (const past of this.ids.keys()) if (past < nowMs) this.ids.delete(past);
    const seconds = Math.ceil((bucketEndsAtMs - nowMs) / 1000);
    const ttlSeconds = Math.min(Math.max(ttlMinSeconds, seconds), ttlMaxSeconds);
    const granted = this.client.leaseGrant(ttlSeconds);
    this.ids.set(bucketEndsAtMs, granted);
    granted.catch(() => this.ids.delete(bucketEndsAtMs)); // the caller has the error; the next one asks again
    return granted;
  }
}

export interface LeaseLookup {
  readonly leaseFor: (expiresAtMs: number) => string;
  readonly buckets: ReadonlySet<number>;
}

/** So many leases are remembered; where each record has its own, memory must not grow with them. */
const rememberedMax = 100_000;
/** A consensus read each, on the leader alone: enough to hide the way there, few enough to leave it time. */
const lookupsAtOnce = 16;

/** When the leases seen by one view end, each asked for once. */
export class LeaseExpiries {
  private readonly client: EtcdClient;
  private readonly nowMs: () => number;
  private readonly known = new Map<string, number>();

  constructor(client: EtcdClient, nowMs: () => number) {
    this.client = client;
    this.nowMs = nowMs;
  }

  /** @returns milliseconds since 1970 by lease id; a lease that is gone ended just now */
  async read(ids: ReadonlySet<string>): Promise<ReadonlyMap<string, number>> {
    const expiries = new Map<string, number>();
    const unknown: string[] = [];
    for (const id of ids) {
      const expiresAtMs = this.known.get(id);
      if (expiresAtMs === undefined) unknown.push(id);
      else expiries.set(id, expiresAtMs);
    }
    const readNext = async (): Promise<void> => {
      for (let id = unknown.pop(); id !== undefined; id = unknown.pop()) {
        const seconds = await this.client.leaseSecondsLeft(id);
        // The server rounds down, so one second more: better a little late than dropped before its time.
        expiries.set(id, this.remember(id, this.nowMs() + (seconds === null ? 0 : (seconds + 1) * 1000)));
      }
    };
    await Promise.all(Array.from({ length: Math.min(lookupsAtOnce, unknown.length) }, readNext));
    return expiries;
  }

  private remember(id: string, expiresAtMs: number): number {
    if (this.known.size >= rememberedMax) this.known.clear();
    this.known.set(id, expiresAtMs);
    return expiresAtMs;
  }
}
