/**
 * A cloud on this machine: the functions of a bundle, a schedule that calls them, and what a cloud does to them.
 *
 *     every tick    dispatch · backfill × concurrency · verify · sweep      overlapping, as ticks do not wait
 *     chaos         kills one in four in the middle of its work, and delivers one in eight twice
 *
 * They run the built bundles as processes of their own through the Runtime API; state and stores are real.
 */
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import type { FunctionName } from '../runtime/invocation.ts';
import type { Environment } from './environment.ts';
import { LocalFunction, type LocalInvocation } from './local-function.ts';

export interface LocalCloudOptions {
  /** With a folder for each function, as `lambda package` makes them. */
  readonly folder: string;
  readonly timeoutMs: number;
  /** Functions `backfill` and `verify` at once, each. */
  readonly concurrency: number;
  /** For the environments of all functions. */
  readonly env?: Readonly<Record<string, string>>;
  /** Draws which ones are killed, and which events come twice, 0 to 1 each; null: none. */
  readonly chaos?: (() => number) | null;
  readonly onLine?: (line: string, name: FunctionName, environment: Environment) => void;
  readonly onEnd?: (name: FunctionName, end: LocalInvocation) => void;
}

const names: readonly FunctionName[] = ['plan', 'dispatch', 'backfill', 'verify', 'sweep'];
/** Of those that overlap by nature. */
const spareEnvironments = 2;

export class LocalCloud {
  readonly functions: Readonly<Record<FunctionName, LocalFunction>>;
  private readonly options: LocalCloudOptions;
  private readonly underWay = new Set<Promise<unknown>>();

  constructor(options: LocalCloudOptions) {
    this.options = options;
    const { folder, timeoutMs, concurrency, env = {}, onLine } = options;
    const functionOf = (name: FunctionName): LocalFunction =>
      new LocalFunction({
        name: `keyferry-${name}`,
        folder: join(folder, name),
        timeoutMs,
        concurrency: name === 'backfill' || name === 'verify' ? concurrency : spareEnvironments,
        env,
        onLine: (line, environment) => onLine?.(line, name, environment),
      });
    this.functions = Object.fromEntries(names.map((name) => [name, functionOf(name)])) as LocalCloud['functions'];
  }

  async invoke(name: FunctionName, event: unknown = {}): Promise<LocalInvocation> {
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
    const { concurrency, chaos = null } = this.options;
    const calls: FunctionName[] = [
      'dispatch',
      ...Array.from({ length: concurrency }, () => 'backfill' as const),
      'verify',
      'sweep',
    ];
    for (const name of calls) {
      const times = chaos !== null && chaos() < 1 / 8 ? 2 : 1;
      for (let i = 0; i < times; i += 1) this.start(name);
    }
  }

  /** Ticks until `isOver` says so, asked at each tick, or `stop` aborts. */
  async run(everyMs: number, isOver: () => Promise<boolean>, stop?: AbortSignal): Promise<void> {
    const signal = stop ?? new AbortController().signal;
    for (;;) {
      if (signal.aborted || (await isOver())) return;
      this.tick();
      await wait(everyMs, undefined, { signal }).catch(() => undefined); // aborted: seen above
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

  private start(name: FunctionName): void {
    const call = this.invoke(name).finally(() => this.underWay.delete(call));
    this.underWay.add(call);
  }

  private async killOneSoon(name: FunctionName, afterMs: number): Promise<void> {
    await wait(afterMs);
    this.functions[name].working[0]?.kill();
  }
}
