/**
 * A cloud on this machine: the functions of a bundle, a schedule that calls them, and what a cloud does to them.
 *
 *     every tick    dispatch · backfill × concurrency · verify · sweep      overlapping, as ticks do not wait
 *                   of strategy replicate: tail
 *     a queue       takes the place of the ticks of backfill, which gets an item as soon as one of it is free
 *     chaos         kills one in four in the middle of its work, and delivers one in eight twice
 *
 * They run the built bundles as processes of their own through the Runtime API; state and stores are real.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import type { SQSBatchResponse } from 'aws-lambda';
import { queueVariable } from '../runtime/queue-variable.ts';
import type { FunctionName } from '../runtime/invocation.ts';
import type { Environment } from './environment.ts';
import { LocalFunction, type LocalInvocation } from './local-function.ts';
import { recordOf, type LocalQueue, type QueuedMessage } from './local-queue.ts';

export interface LocalCloudOptions {
  /** With a folder for each function, as `lambda package` makes them. */
  readonly folder: string;
  readonly timeoutMs: number;
  /** Functions `backfill` and `verify` at once, each. */
  readonly concurrency: number;
  /** Shares chunks out in the place of ticks. */
  readonly queue?: LocalQueue;
  /** For the environments of all functions. */
  readonly env?: Readonly<Record<string, string>>;
  /** Draws which ones are killed, and which events come twice, 0 to 1 each; null: none. */
  readonly chaos?: (() => number) | null;
  readonly onLine?: (line: string, name: FunctionName, environment: Environment) => void;
  readonly onEnd?: (name: FunctionName, end: LocalInvocation) => void;
}

const names: readonly FunctionName[] = ['plan', 'dispatch', 'backfill', 'verify', 'sweep', 'tail'];
const pollEveryMs = 50;
/** Of those that overlap by nature. */
const spareEnvironments = 2;

export class LocalCloud {
  readonly functions: Readonly<Record<FunctionName, LocalFunction>>;
  private readonly options: LocalCloudOptions;
  /** It has the function of strategy replicate, and then no other. */
  private readonly follows: boolean;
  private readonly underWay = new Set<Promise<unknown>>();

  constructor(options: LocalCloudOptions) {
    this.options = options;
    const { folder, timeoutMs, concurrency, queue, env = {}, onLine } = options;
    this.follows = existsSync(join(folder, 'tail'));
    const functionOf = (name: FunctionName): LocalFunction =>
      new LocalFunction({
        name: `keyferry-${name}`,
        folder: join(folder, name),
        timeoutMs,
        concurrency: name === 'backfill' || name === 'verify' ? concurrency : spareEnvironments,
        env: queue === undefined ? env : { ...env, [queueVariable]: queue.url },
        onLine: (line, environment) => onLine?.(line, name, environment),
      });
    this.functions = Object.fromEntries(names.map((name) => [name, functionOf(name)])) as LocalCloud['functions'];
  }

  /** Is under way for `close` too, whether the caller waits for it or not. */
  invoke(name: FunctionName, event: unknown = {}): Promise<LocalInvocation> {
    const invocation = this.invokeOnce(name, event);
    this.follow(invocation);
    return invocation;
  }

  private async invokeOnce(name: FunctionName, event: unknown): Promise<LocalInvocation> {
    const { chaos = null, timeoutMs, onEnd } = this.options;
    const mayKill = chaos !== null && chaos() < 1 / 4;
    const invocation = this.functions[name].invoke(event);
    if (mayKill) void this.killOneSoon(name, chaos() * timeoutMs * 0.5);
    const end = await invocation;
    onEnd?.(name, end);
    return end;
  }

  /** One tick: what a schedule calls, without waiting for it. */
  tick(): void {
    const { concurrency, queue, chaos = null } = this.options;
    const copying: FunctionName[] = [
      'dispatch',
      ...Array.from({ length: queue === undefined ? concurrency : 0 }, () => 'backfill' as const),
      'verify',
      'sweep',
    ];
    const calls: readonly FunctionName[] = this.follows ? ['tail'] : copying;
    for (const name of calls) {
      const times = chaos !== null && chaos() < 1 / 8 ? 2 : 1;
      for (let i = 0; i < times; i += 1) void this.invoke(name);
    }
  }

  /** Ticks until `isOver` says so, asked at each tick, or `stop` aborts. */
  async run(everyMs: number, isOver: () => Promise<boolean>, stop?: AbortSignal): Promise<void> {
    const signal = stop ?? new AbortController().signal;
    const ended = new AbortController();
    const consumer = this.consume(AbortSignal.any([signal, ended.signal]));
    try {
      for (;;) {
        if (signal.aborted || (await isOver())) return;
        this.tick();
        await wait(everyMs, undefined, { signal }).catch(() => undefined); // aborted: seen above
      }
    } finally {
      ended.abort();
      await consumer;
    }
  }

  /** Waits for what is under way, then ends all environments. */
  async close(): Promise<void> {
    await Promise.allSettled(this.underWay);
    await this.abort();
  }

  /** Ends all environments at once. */
  async abort(): Promise<void> {
    await Promise.all(Object.values(this.functions).map((each) => each.close()));
  }

  private follow(work: Promise<unknown>): void {
    const call = work.finally(() => this.underWay.delete(call));
    call.catch(() => undefined); // told to whoever has `work`
    this.underWay.add(call);
  }

  /** An event source mapping: hands items to backfill one by one, as many at once as may work. */
  private async consume(signal: AbortSignal): Promise<void> {
    const { queue, concurrency } = this.options;
    if (queue === undefined) return;
    let delivering = 0;
    while (!signal.aborted) {
      const message = delivering < concurrency ? queue.receive() : null;
      if (message === null) {
        await wait(pollEveryMs, undefined, { signal }).catch(() => undefined); // aborted: the loop ends
        continue;
      }
      delivering += 1;
      this.follow(this.deliver(queue, message).finally(() => (delivering -= 1)));
    }
  }

  /** Deleted once it is done; with chaos it may come again all the same, as SQS delivers at least once. */
  private async deliver(queue: LocalQueue, message: QueuedMessage): Promise<void> {
    const { chaos = null } = this.options;
    const end = await this.invoke('backfill', { Records: [recordOf(message)] });
    if (end.kind !== 'returned') return;
    const { batchItemFailures } = end.result as SQSBatchResponse;
    const comesTwice = chaos !== null && chaos() < 1 / 8;
    if (batchItemFailures.length === 0 && !comesTwice) queue.delete(message);
  }

  private async killOneSoon(name: FunctionName, afterMs: number): Promise<void> {
    await wait(afterMs);
    this.functions[name].working[0]?.kill();
  }
}
