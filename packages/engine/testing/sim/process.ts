/**
 * A simulated process: it runs the engine on its own clock and reaches stores only through the kernel.
 *
 * JavaScript runs between two answers only, so a process that gets no answer does nothing: *crashed* means that no
 * answer ever comes again, *stalled* that all of them wait. What it sent before is on its way all the same and may
 * take effect later; that is how a dead or sleeping worker still writes.
 */
import { KeyferryError, type Clock, type StopSignal } from '@keyferry/core';
import { asError, type Kernel } from './kernel.ts';
import type { Limbo } from './limbo.ts';
import type { Prng } from './prng.ts';
import type { Fate, StoreName, Weather } from './weather.ts';

export type Ending<T> =
  | { readonly kind: 'returned'; readonly value: T }
  | { readonly kind: 'failed'; readonly error: unknown }
  | { readonly kind: 'crashed' };

/** What all processes share. */
export interface Outside {
  readonly kernel: Kernel;
  readonly weather: Weather;
  readonly limbo: Limbo;
  /** How long what a stopped process was sending may still be on its way; 60,000 by default. */
  readonly strandedMaxMs?: number;
}

export class SimProcess {
  readonly name: string;
  readonly random: Prng;
  readonly clock: Clock;
  readonly skewMs: number;
  private readonly kernel: Kernel;
  private readonly weather: Weather;
  private readonly limbo: Limbo;
  private readonly strandedMaxMs: number;
  private readonly interrupts = new AbortController();
  private readonly onTheWire = new Set<() => void>();
  private dead = false;
  private stalledUntilMs = 0;
  private onCrash: () => void = () => undefined;

  constructor(outside: Outside, name: string, random: Prng, skewMs: number) {
    const { kernel, weather, limbo, strandedMaxMs = 60_000 } = outside;
    this.strandedMaxMs = strandedMaxMs;
    this.kernel = kernel;
    this.weather = weather;
    this.limbo = limbo;
    this.name = name;
    this.random = random;
    this.skewMs = skewMs;
    const bornMs = kernel.nowMs;
    this.clock = {
      nowMs: () => kernel.nowMs + skewMs,
      monotonicMs: () => kernel.nowMs - bornMs,
      sleep: (ms, signal) => this.sleep(ms, signal),
    };
  }

  get isDead(): boolean {
    return this.dead;
  }

  get signal(): AbortSignal {
    return this.interrupts.signal;
  }

  /** Runs `work` to its end, or until the process dies under it. A process that has ended is gone. */
  async run<T>(work: () => Promise<T>): Promise<Ending<T>> {
    const crashed = new Promise<Ending<T>>((resolve) => {
      this.onCrash = () => resolve({ kind: 'crashed' });
    });
    const ended = work().then(
      (value): Ending<T> => ({ kind: 'returned', value }),
      (error: unknown): Ending<T> => ({ kind: 'failed', error }),
    );
    const ending = await Promise.race([ended, crashed]);
    this.dead = true;
    const how = ending.kind === 'failed' ? describeError(ending.error) : '';
    this.kernel.trace(`${this.name} ${ending.kind} ${how}`);
    return ending;
  }

  crash(): void {
    if (this.dead) return;
    this.dead = true;
    this.kernel.trace(`${this.name} crashes`);
    this.strand();
    this.onCrash();
  }

  stall(ms: number): void {
    if (this.dead) return;
    this.stalledUntilMs = Math.max(this.stalledUntilMs, this.kernel.nowMs + ms);
    this.kernel.trace(`${this.name} stalls for ${ms}`);
    this.strand();
  }

  /** One call of a port: latency, effect, latency, answer; or whatever the weather makes of it. */
  call<T>(store: StoreName, operation: string, effect: () => Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      if (this.dead) return;
      const fate = this.weather.fateOf(store, operation, this.kernel.nowMs);
      const what = `${this.name} ${store}.${operation}`;
      this.kernel.trace(`${what} ${fate.kind}`);
      const held = this.suffer(fate);
      const sentMs = this.kernel.nowMs + held;
      const answer = (atMs: number, deliver: () => void): void => this.deliverAt(atMs, deliver);
      const failAt = (atMs: number): void => answer(atMs, () => reject(failure(fate, store, operation)));
      if (fate.kind !== 'answered') failAt(sentMs + fate.answerMs);
      if (fate.kind === 'refused' || fate.kind === 'lost' || fate.kind === 'compacted') return;
      const arrivesMs = sentMs + fate.requestMs;
      const arrive = (): void => {
        const done = (outcome: string, deliver: () => void): void => {
          this.kernel.trace(`${what} takes effect: ${outcome}`);
          if (fate.kind === 'answered') answer(this.kernel.nowMs + fate.answerMs, deliver);
        };
        const came = (value: T): void => done('ok', () => resolve(value));
        const failed = (error: unknown): void => done(describeError(error), () => reject(asError(error)));
        effect().then(came, failed);
      };
      if (fate.kind === 'late') this.limbo.add(arrivesMs, arrive);
      else this.send(arrivesMs, arrive);
    });
  }

  /** On the wire until `atMs`, unless something happens to the sender before. */
  private send(atMs: number, arrive: () => void): void {
    this.onTheWire.add(arrive);
    this.kernel.at(atMs, () => {
      if (this.onTheWire.delete(arrive)) arrive();
    });
  }

  /** A sender that stops in the middle of sending: half of what is on the wire comes through at any later time. */
  private strand(): void {
    for (const arrive of this.onTheWire) {
      if (this.random.chance(0.5)) continue;
      this.onTheWire.delete(arrive);
      this.limbo.add(this.kernel.nowMs + this.random.below(this.strandedMaxMs), arrive);
    }
  }

  /**
   * What the call's fate does to the process. It dies when it has sent the request: one that sleeps before sends nothing after
   * its death. @returns how long the request is held back in it
   */
  private suffer({ crash, stall, interrupt }: Fate): number {
    const heldMs = stall?.before === true ? stall.ms : 0;
    if (interrupt && !this.interrupts.signal.aborted) this.kernel.at(this.kernel.nowMs, () => this.interrupt());
    if (stall !== null) this.stall(stall.ms);
    if (crash) this.kernel.at(this.kernel.nowMs + heldMs, () => this.crash());
    return heldMs;
  }

  private interrupt(): void {
    this.kernel.trace(`${this.name} is interrupted`);
    this.interrupts.abort('SIGINT');
  }

  private sleep(ms: number, signal?: StopSignal): Promise<void> {
    return new Promise((resolve) => {
      if (this.dead) return;
      if (signal?.aborted === true) return resolve();
      const wake = (): void => {
        signal?.removeEventListener('abort', wake);
        resolve();
      };
      signal?.addEventListener('abort', wake);
      this.deliverAt(this.kernel.nowMs + ms, wake);
    });
  }

  private deliverAt(atMs: number, deliver: () => void): void {
    this.kernel.at(atMs, () => {
      if (this.dead) return;
      if (this.kernel.nowMs < this.stalledUntilMs) this.deliverAt(this.stalledUntilMs, deliver);
      else deliver();
    });
  }
}

export function describeError(error: unknown): string {
  if (error instanceof KeyferryError) return error.code === 'internal.invariant' ? error.message : error.code;
  return error instanceof Error ? `${error.name}: ${error.message}` : String(error);
}

function failure({ kind }: Fate, store: StoreName, operation: string): KeyferryError {
  const detail = `${operation}: simulated`;
  if (kind === 'compacted') return new KeyferryError('store.position-compacted', { store, position: '0' });
  if (kind === 'refused' && store === 'state') return new KeyferryError('state.busy', { where: detail });
  return kind === 'refused'
    ? new KeyferryError('store.unreachable', { store, detail })
    : new KeyferryError('store.timeout', { store, detail });
}
