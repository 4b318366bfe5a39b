/**
 * A tail at work beside others: beside the backfill, beside a generation, or alone for weeks.
 *
 * It goes on until it is ended or fails; whoever waits for it waits for either. What a lost position leads to, and what a
 * range that went at once does to a backfill under way, is told to it by whoever starts it.
 */
import type { Key, KeyRange, Position } from '@keyferry/core';
import type { Environment } from '../migration.ts';
import { withRetry } from '../retry.ts';
import type { Tail } from './tail.ts';

const readWaitMs = 1000;
/** Between two reads that came back at once and empty. */
const idleMs = 50;
const sampleEveryMs = 1000;
const reportEveryMs = 1000;
const backlogEveryMs = 30_000;
/** Kept for one tail, where the store itself sets no bound. */
const backlogMuchBytes = 1024 ** 3;

export interface TailRunHooks {
  /** Which keys of the written store go with a range. */
  readonly expand: (range: KeyRange) => Promise<readonly Key[]>;
  /** Brings both sides together without the feed, or throws. */
  readonly recover: (why: string) => Promise<void>;
  /** Hears how long each step took that carried something, in milliseconds. */
  readonly onStep?: (ms: number) => void;
}

export class TailRun {
  readonly tail: Tail;
  private readonly env: Environment;
  private readonly hooks: TailRunHooks;
  private readonly ending = new AbortController();
  private readonly done: Promise<void>;
  private failure: { readonly error: unknown } | null = null;
  private hasEnded = false;
  private waiting: { readonly mark: Position; readonly resolve: () => void }[] = [];

  constructor(env: Environment, tail: Tail, hooks: TailRunHooks, stop: AbortSignal) {
    this.env = env;
    this.tail = tail;
    this.hooks = hooks;
    const signal = AbortSignal.any([stop, this.ending.signal]);
    this.done = this.goOn(signal)
      .catch((error: unknown) => {
        this.failure = { error };
      })
      .finally(() => this.wakeAll());
  }

  /** `work`, unless the tail fails before it has come to its end. Then `work` is left to itself: give it a signal of its own. */
  async whileGoing<T>(work: Promise<T>): Promise<T> {
    work.catch(() => undefined); // rethrown below, unless the tail failed first
    const failed = this.done.then(() => {
      if (this.failure !== null) throw this.failure.error;
      return work;
    });
    return await Promise.race([work, failed]);
  }

  /** Resolves when everything up to `mark` is carried, or when the run was told to stop; fails as the tail does. */
  whenReached(mark: Position): Promise<void> {
    if (this.tail.hasReached(mark) || this.hasEnded) return this.whileGoing(Promise.resolve());
    return this.whileGoing(new Promise((resolve) => this.waiting.push({ mark, resolve })));
  }

  /** Ends it and gives the tail back, at the position that it has. @throws what it failed with */
  async end(): Promise<void> {
    await (await this.release()).end();
  }

  /** Ends it, for somebody who drives the tail step by step from here on. @throws what it failed with */
  async release(): Promise<Tail> {
    this.ending.abort();
    await this.done;
    if (this.failure === null) return this.tail;
    await this.tail.giveUp();
    throw this.failure.error;
  }

  private async goOn(signal: AbortSignal): Promise<void> {
    const { env, tail, hooks } = this;
    const { clock } = env;
    let sampledAtMs = Number.NEGATIVE_INFINITY;
    let reportedAtMs = Number.NEGATIVE_INFINITY;
    let backlogAtMs = clock.monotonicMs();
    while (!signal.aborted) {
      if (clock.monotonicMs() - sampledAtMs >= sampleEveryMs) {
        sampledAtMs = clock.monotonicMs();
        await tail.lag.sample(signal);
        tail.lag.reached(tail.position);
      }
      const readAtMs = clock.monotonicMs();
      const step = await tail.step(readWaitMs, hooks.expand, signal);
      if (step.kind === 'moved') hooks.onStep?.(clock.monotonicMs() - readAtMs);
      if (step.kind === 'lost') {
        env.host.emit({ code: 'tail.lost', data: { tail: tail.route.tail, why: step.why } });
        await hooks.recover(step.why);
      }
      this.wake();
      if (clock.monotonicMs() - reportedAtMs >= reportEveryMs) {
        reportedAtMs = clock.monotonicMs();
        const { counts } = tail;
        env.host.emit({
          code: 'tail.progress',
          data: { tail: tail.route.tail, counts, lag: tail.lag.value(tail.position) },
        });
      }
      if (clock.monotonicMs() - backlogAtMs >= backlogEveryMs) {
        backlogAtMs = clock.monotonicMs();
        await this.watchBacklog(signal);
      }
      if (step.kind === 'idle' && clock.monotonicMs() - readAtMs < idleMs) await clock.sleep(idleMs, signal);
    }
  }

  /** Half of what the store bears, or a lot where it bears anything: a tail that is too slow, or a reader that is gone. */
  private async watchBacklog(signal: AbortSignal): Promise<void> {
    const { env, tail } = this;
    const { feed } = tail.route;
    const backlog = await withRetry(env, 'backlog of feed', async () => (await feed.backlog?.()) ?? null, signal);
    if (backlog === null) return;
    const { bytes, bytesLeft } = backlog;
    if (bytesLeft === null ? bytes < backlogMuchBytes : bytes < bytesLeft) return;
    env.host.emit({ code: 'tail.backlog', data: { tail: tail.route.tail, bytes, bytesLeft } });
  }

  private wakeAll(): void {
    this.hasEnded = true;
    for (const { resolve } of this.waiting) resolve();
  }

  private wake(): void {
    const reached = this.waiting.filter(({ mark }) => this.tail.hasReached(mark));
    this.waiting = this.waiting.filter((each) => !reached.includes(each));
    for (const { resolve } of reached) resolve();
  }
}
