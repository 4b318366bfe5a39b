/**
 * One watch on one member, from its creation to its end: whole revisions in order, and how far the member has told.
 *
 *     create ──► created ──► events, progress, … ──► ended (cut off, cancelled, compacted)
 *
 * A response holds whole revisions, so what has arrived is always good up to `through`. The revision in a response's header is
 * the store's and may be ahead of what was told; only that of a progress notification counts, and only from members that
 * do not let it overtake events (before 3.4.25 and 3.5.8) nor leave it out (before 3.4.31 and 3.5.13). Other members are
 * asked for every key instead: then each revision is told, and the last one that was is how far it is.
 *
 * Memory is bounded: past `queuedMax` the stream is not read, and HTTP/2 holds the member back. What a member drops for
 * that reason it tells again from its history.
 */
import type { CallOptions, ClientDuplexStream } from '@grpc/grpc-js';
import type { KeyRange } from '@keyferry/core';
import { anyKeyOf, keyFromBuffer, rangeToWire } from '../codec.ts';
import { faultOf } from '../errors.ts';
import type { RpcClient } from '../rpc-client.ts';
import type { WatchEvent, WatchRequest, WatchResponse } from '../wire/watch.ts';

export interface WatchAsk {
  /** At least one key must fit into it. */
  readonly range: KeyRange;
  /** Everything up to this revision is known already. */
  readonly after: string;
  readonly previous: boolean;
}

/** All events of one revision, in the order of their transaction. */
export interface Revision {
  readonly revision: string;
  readonly events: readonly WatchEvent[];
}

const queuedMax = { events: 4000, bytes: 16 * 1024 * 1024 };
const everything = { key: Buffer.from([0]), range_end: Buffer.from([0]) };
/** Nobody needs to know more often. */
const progressEveryMs = 100;

export class WatchStream {
  /** Everything up to this revision was told, and is in the queue or was taken. */
  through: bigint;
  /** Why nothing more comes; null: more may come. */
  ended: { readonly compacted: string } | { readonly error: unknown } | null = null;
  private readonly ask: WatchAsk;
  /** Whether this member can be asked how far it has told. */
  readonly tellsProgress: boolean;
  /** How many times it has said so. */
  progressTold = 0;
  private readonly stream: ClientDuplexStream<WatchRequest, WatchResponse>;
  private isCreated = false;
  private readonly queue: Revision[] = [];
  private queued = { events: 0, bytes: 0 };
  private progressAskedAtMs = Number.NEGATIVE_INFINITY;
  private wake: () => void = () => {};

  /**
   * Resolves when the member has taken the watch on. The read before it is linearizable: it renews a token that is out
   * of date, which the member would refuse with the stream, and says where the store is.
   * @returns `head`: a store that is behind `after` is another one, or was put back
   */
  static async open(rpc: RpcClient, options: CallOptions, ask: WatchAsk) {
    const wire = rangeToWire(ask.range) ?? everything;
    const { header } = await rpc.range({ ...wire, limit: 1, keys_only: true }, options);
    const { version } = await rpc.status(options);
    const stream = new WatchStream(rpc, options, ask, isTrusted(version));
    await stream.created(options).catch((error: unknown) => {
      throw stream.tellsProgress || !isDenied(error)
        ? error
        : new Error(`7 PERMISSION_DENIED: ${faultOf(error).text}; ${rightNeeded(version)}`);
    });
    return { stream, head: header.revision };
  }

  private constructor(rpc: RpcClient, options: CallOptions, ask: WatchAsk, tellsProgress: boolean) {
    this.ask = ask;
    this.through = BigInt(ask.after);
    this.tellsProgress = tellsProgress;
    this.stream = rpc.watch({ ...options, deadline: Number.POSITIVE_INFINITY });
    this.stream.on('data', (response: WatchResponse) => this.take(response));
    this.stream.on('error', (error) => this.end({ error }));
    this.stream.on('end', () => this.end({ error: new Error('14 UNAVAILABLE: the watch was ended') }));
    const wire = (tellsProgress ? rangeToWire(ask.range) : null) ?? everything;
    const start_revision = String(this.through + 1n);
    this.stream.write({ create: { ...wire, start_revision, progress_notify: true, prev_kv: ask.previous } });
  }

  /** The oldest revisions, whole, at least `eventsMax` events if there are so many; none if there are none. */
  next(eventsMax: number): readonly Revision[] {
    const taken: Revision[] = [];
    let events = 0;
    while (events < eventsMax) {
      const first = this.queue.shift();
      if (first === undefined) break;
      taken.push(first);
      events += first.events.length;
      this.queued.bytes -= bytesOf(first);
    }
    this.queued.events -= events;
    if (!this.isFull()) this.stream.resume();
    return taken;
  }

  get isEmpty(): boolean {
    return this.queue.length === 0;
  }

  /** Asks the member to say how far it has told; it answers what it had not told before. */
  askProgress(): void {
    if (!this.tellsProgress || this.ended !== null) return;
    const nowMs = performance.now();
    if (nowMs - this.progressAskedAtMs < progressEveryMs) return;
    this.progressAskedAtMs = nowMs;
    this.stream.write({ progress: true });
  }

  /** Resolves when something has arrived, the stream has ended, or after `ms`. */
  async changed(ms: number): Promise<void> {
    if (this.ended !== null) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.wake = resolve;
    const timer = setTimeout(resolve, ms);
    await promise;
    clearTimeout(timer);
  }

  /** Ends a wait. */
  interrupt(): void {
    this.wake();
  }

  close(): void {
    this.stream.cancel();
  }

  private async created({ deadline }: CallOptions): Promise<void> {
    const untilMs = deadline instanceof Date ? deadline.getTime() : Number(deadline);
    while (!this.isCreated && this.ended === null) {
      const leftMs = untilMs - Date.now();
      if (leftMs > 0) await this.changed(leftMs);
      else this.end({ error: new Error('4 DEADLINE_EXCEEDED: the watch was not taken on in time') });
    }
    if (this.ended === null || !('error' in this.ended)) return;
    this.close();
    throw this.ended.error;
  }

  private take(response: WatchResponse): void {
    const { created, canceled, compactRevision, events, header } = response;
    if (canceled) {
      this.end(compactRevision === '0' ? { error: cancelled(response) } : { compacted: compactRevision });
      this.stream.cancel();
      return;
    }
    if (created) this.isCreated = true;
    else if (events.length > 0) this.takeEvents(events);
    else this.takeProgress(BigInt(header.revision));
    this.wake();
  }

  private takeEvents(events: readonly WatchEvent[]): void {
    const { range } = this.ask;
    const inRange = this.tellsProgress ? events : events.filter(({ kv }) => holds(range, kv.key));
    for (let at = 0; at < inRange.length;) {
      const { mod_revision: revision } = (inRange[at] as WatchEvent).kv;
      let end = at + 1;
      while (inRange[end]?.kv.mod_revision === revision) end += 1;
      const group = { revision, events: inRange.slice(at, end) };
      this.queue.push(group);
      this.queued.events += end - at;
      this.queued.bytes += bytesOf(group);
      at = end;
    }
    this.through = BigInt((events.at(-1) as WatchEvent).kv.mod_revision);
    if (this.isFull()) this.stream.pause();
  }

  private takeProgress(revision: bigint): void {
    this.progressTold += 1;
    if (revision > this.through) this.through = revision;
  }

  private isFull(): boolean {
    return this.queued.events >= queuedMax.events || this.queued.bytes >= queuedMax.bytes;
  }

  private end(ended: NonNullable<WatchStream['ended']>): void {
    this.ended ??= ended;
    this.wake();
  }
}

/** A read of one key at a revision, on the member of a watch: refused where that revision was compacted. */
export async function readAt(rpc: RpcClient, options: CallOptions, range: KeyRange, revision: string): Promise<void> {
  await rpc.range({ key: anyKeyOf(range), keys_only: true, serializable: true, revision }, options);
}

const isDenied = (error: unknown): boolean => faultOf(error).code === 7;

const rightNeeded = (version: string): string =>
  `etcd ${version} cannot be asked how far a watch is, so all keys are watched, which needs the right to read them ` +
  '(or 3.4.31, 3.5.13 or later)';

/** In words that errors.ts knows. A watch is cancelled for want of a right, a token, or a leader. */
function cancelled({ cancelReason: reason }: WatchResponse): Error {
  if (/permission denied/i.test(reason)) return new Error(`7 PERMISSION_DENIED: ${reason}`);
  if (/auth token|unauthenticated/i.test(reason)) return new Error(`16 UNAUTHENTICATED: ${reason}`);
  return new Error(`14 UNAVAILABLE: the watch was cancelled: ${reason === '' ? 'without a reason' : reason}`);
}

function isTrusted(version: string): boolean {
  const [major = 0, minor = 0, patch = 0] = version.split(/[.+-]/).map(Number);
  if (major !== 3 || minor > 5) return major >= 3;
  return minor === 5 ? patch >= 13 : minor === 4 && patch >= 31;
}

function holds({ start, end }: KeyRange, wire: Buffer): boolean {
  const key = keyFromBuffer(wire);
  return key >= start && (end === null || key < end);
}

function bytesOf({ events }: Revision): number {
  let bytes = 0;
  for (const { kv, previous } of events) bytes += kv.key.length + kv.value.length + (previous?.value.length ?? 0);
  return bytes;
}
