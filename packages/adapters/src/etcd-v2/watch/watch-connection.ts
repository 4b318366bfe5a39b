/**
 * One member's telling of all that comes after an index: what happened before the stream began, from the store's history,
 * and then the stream.
 *
 *     after ····· history, event by event ·····► from ═══ stream ═══►
 *
 * The stream is opened first, so that nothing falls between the two. History is done once it gives an event of after
 * `from`, which the stream tells as well, or has nothing up to there.
 */
import type { V2Event } from './event.ts';
import { follow, recall, type Following, type WatchTarget } from './watch-requests.ts';

/** So much waits at most while history is read; then the stream is given up, and opened anew once that is done. */
const queuedMax = 20_000;
/**
 * Each index asked for gives the first event from there on, so that neighbours asked for together are every event of their
 * stretch: as many to a round trip, where a writer is as fast as one.
 */
const recallsAtOnce = 16;

export class WatchConnection {
  readonly endpoint: string;
  /** Everything up to this index was told, and is in the queue or was taken. */
  through: number;
  /** Why nothing more comes; null: more may come. */
  ended: { readonly lost: string } | { readonly error: unknown } | null = null;
  private readonly target: WatchTarget;
  private readonly following: Following;
  private queue: V2Event[] = [];
  /** Of the stream, while history is read. */
  private later: V2Event[] | null = [];
  /** Index of the last event that was told: another member may tell it once more. */
  private last: number;
  private quietening: Promise<void> | null = null;
  private wake: () => void = () => {};

  static async open(target: WatchTarget, after: number): Promise<WatchConnection> {
    return new WatchConnection(target, after, await follow(target));
  }

  private constructor(target: WatchTarget, after: number, following: Following) {
    this.target = target;
    this.endpoint = target.endpoint;
    this.through = after;
    this.last = after;
    this.following = following;
    const fail = (error: unknown): void => this.end({ error });
    this.readStream().catch(fail);
    this.readHistory().catch(fail);
  }

  /** The oldest events, at most so many. */
  next(eventsMax: number): readonly V2Event[] {
    return this.queue.splice(0, eventsMax);
  }

  get isEmpty(): boolean {
    return this.queue.length === 0;
  }

  /** Looks how far silence reaches: what moves the index without an event (a refresh, hidden keys) is found only so. */
  askProgress(): void {
    if (this.later !== null || this.ended !== null || this.quietening !== null) return;
    this.quietening = this.readSilence()
      .catch((error: unknown) => this.end({ error }))
      .finally(() => (this.quietening = null));
  }

  /** Resolves when something has arrived, the connection has ended, or after `ms`. */
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
    this.following.close();
    this.end({ error: null });
  }

  private async readStream(): Promise<void> {
    for await (const events of this.following.events) {
      if (this.ended !== null) return;
      if (this.later === null) this.take(events);
      else if (this.later.length > queuedMax) break;
      else this.later.push(...events);
    }
    // Ended by the member, which does that to a slow reader, or given up here: in either case history has the rest.
    this.end({ error: null });
  }

  private async readHistory(): Promise<void> {
    const { from } = this.following;
    while (this.last < from && this.ended === null) {
      const width = Math.min(recallsAtOnce, from - this.last);
      const recalls = Array.from({ length: width }, (_, i) => recall(this.target, this.last + 1 + i));
      const upTo = this.last + width;
      const events = new Map<number, V2Event>();
      let isDone = false;
      for (const recalled of await Promise.all(recalls)) {
        if (recalled.kind === 'cleared') return this.end({ lost: recalled.why });
        if (recalled.kind === 'event' && recalled.event.index <= from) events.set(recalled.event.index, recalled.event);
        else isDone = true; // nothing from there up to where the stream began
      }
      this.take([...events.values()].toSorted((a, b) => a.index - b.index));
      this.last = Math.max(this.last, isDone ? from : upTo);
      this.through = this.last;
    }
    const later = this.later ?? [];
    this.later = null;
    if (this.ended !== null) return;
    this.through = Math.max(this.through, from);
    this.take(later);
    this.wake();
  }

  private async readSilence(): Promise<void> {
    const recalled = await recall(this.target, this.through + 1);
    if (recalled.kind === 'nothing' && recalled.upTo > this.through) {
      this.through = recalled.upTo;
      this.wake();
    }
  }

  private take(events: readonly V2Event[]): void {
    const fresh = events.filter(({ index }) => index > this.last);
    const newest = fresh.at(-1);
    if (newest === undefined) return;
    this.last = newest.index;
    this.through = Math.max(this.through, newest.index);
    this.queue.push(...fresh);
    this.wake();
  }

  private end(ended: NonNullable<WatchConnection['ended']>): void {
    this.ended ??= ended;
    this.following.close();
    this.wake();
  }
}
