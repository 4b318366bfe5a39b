/**
 * Lag: how far a tail is behind the store that it reads, in time and in changes.
 *
 * Feeds carry no time, so heads are sampled with the time at which they were read: what a tail has not reached was there
 * at that moment. The time is an upper bound, and as fine as the samples are.
 */
import type { ChangeFeed, Position, StopSignal, TailLag } from '@keyferry/core';
import type { Environment } from '../migration.ts';
import { withRetry } from '../retry.ts';

const samplesMax = 600;

export class LagMeter {
  private readonly env: Environment;
  private readonly feed: ChangeFeed;
  private waiting: { readonly head: Position; readonly atMs: number }[] = [];
  private lastHead: Position | null = null;

  constructor(env: Environment, feed: ChangeFeed) {
    this.env = env;
    this.feed = feed;
  }

  async sample(signal?: StopSignal): Promise<Position> {
    const atMs = this.env.clock.monotonicMs();
    const head = await withRetry(this.env, 'head of feed', () => this.feed.head(), signal);
    this.lastHead = head;
    this.waiting.push({ head, atMs });
    // Of a tail that is far behind, the oldest sample tells how far; those in between may go.
    if (this.waiting.length > samplesMax) this.waiting = this.waiting.filter((_, i) => i % 2 === 0);
    return head;
  }

  reached(position: Position): void {
    this.waiting = this.waiting.filter(({ head }) => !this.feed.hasReached(position, head));
  }

  value(position: Position): TailLag {
    const [oldest] = this.waiting;
    const ms = oldest === undefined ? 0 : Math.max(0, this.env.clock.monotonicMs() - oldest.atMs);
    return { ms, changes: this.lastHead === null ? null : this.feed.changesBetween(position, this.lastHead) };
  }
}
