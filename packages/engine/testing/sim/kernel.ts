/**
 * The simulator's kernel: virtual time, and one queue of events in the order of that time.
 *
 *     take the earliest event ─► time jumps to it ─► it runs ─► all promises settle ─► the next one
 *
 * Nothing else moves: no timer, no socket, no second thread. What one event sets in motion comes to rest before the
 * next one starts, so the order of everything follows from the seed, and a failing seed fails again. The trace is
 * hashed line by line; two runs of one seed must have the same hash, which is the proof of that.
 */
import { createHash } from 'node:crypto';

/** Where virtual time starts; the year does not matter. */
export const startMs = 1_800_000_000_000;

/** More events than any scenario needs: what runs that long goes round in circles. */
const usualEventsMax = 150_000;

const stepsATurn = 64;

/** Characters of the trace that are hashed at once: a call of the hash costs more than a line of it. */
const hashedAtOnce = 16_384;

interface Event {
  readonly atMs: number;
  readonly order: number;
  readonly run: () => void;
}

/** The run cannot come to its end: nothing is left to happen, or it goes on for ever. */
export class Stuck extends Error {}

export class Kernel {
  nowMs = startMs;
  /** Lines of the trace; empty unless they were asked for. */
  readonly lines: string[] = [];
  private readonly keepLines: boolean;
  private readonly hash = createHash('sha256');
  private unhashed = '';
  private readonly heap: Event[] = [];
  private events = 0;
  private orders = 0;
  private readonly eventsMax: number;

  constructor(keepLines: boolean, eventsMax = usualEventsMax) {
    this.eventsMax = eventsMax;
    this.keepLines = keepLines;
  }

  get eventCount(): number {
    return this.events;
  }

  /** Events of one instant run in the order in which they were set. */
  at(atMs: number, run: () => void): void {
    this.push({ atMs: Math.max(atMs, this.nowMs), order: this.orders, run });
    this.orders += 1;
  }

  sleep(ms: number): Promise<void> {
    return new Promise((resolve) => this.at(this.nowMs + ms, resolve));
  }

  trace(line: string): void {
    const whole = `${this.nowMs - startMs} ${line}`;
    this.unhashed += `${whole}\n`;
    if (this.unhashed.length >= hashedAtOnce) this.hashTheRest();
    if (this.keepLines) this.lines.push(whole);
  }

  traceHash(): string {
    this.hashTheRest();
    return this.hash.copy().digest('hex');
  }

  /**
   * Runs events until `main` has come to its end.
   * @throws {Stuck} when it never will.
   */
  async run<T>(main: () => Promise<T>): Promise<T> {
    const progress = { settled: false };
    const result = main().finally(() => {
      progress.settled = true;
    });
    result.catch(() => undefined); // rethrown below, once the loop has seen it
    while (!progress.settled) await this.turn(progress);
    return result;
  }

  /**
   * Steps, each in a macrotask of its own: it begins when no microtask is left, so everything that the event before it set
   * in motion has come to rest. They are asked for many at a time: a turn of Node's loop costs as much as a step.
   */
  private turn(progress: { readonly settled: boolean }): Promise<void> {
    return new Promise((resolve, reject) => {
      let isOver = false;
      const step = (isLast: boolean): void => {
        isOver ||= progress.settled;
        try {
          if (!isOver) this.step();
        } catch (error) {
          isOver = true;
          reject(asError(error));
        }
        if (isLast) resolve();
      };
      for (let left = stepsATurn; left > 0; left -= 1) setImmediate(step, left === 1);
    });
  }

  private hashTheRest(): void {
    this.hash.update(this.unhashed);
    this.unhashed = '';
  }

  private step(): void {
    const event = this.pop();
    if (event === undefined) throw new Stuck('nothing is left to happen, and the scenario waits');
    if (this.events >= this.eventsMax) throw new Stuck(`no end after ${this.eventsMax} events`);
    this.events += 1;
    this.nowMs = event.atMs;
    event.run();
  }

  private push(event: Event): void {
    const { heap } = this;
    let at = heap.length;
    heap.push(event);
    while (at > 0) {
      const parent = (at - 1) >>> 1;
      if (!isEarlier(event, heap[parent] as Event)) break;
      heap[at] = heap[parent] as Event;
      at = parent;
    }
    heap[at] = event;
  }

  private pop(): Event | undefined {
    const { heap } = this;
    const first = heap[0];
    const last = heap.pop();
    if (last === undefined || heap.length === 0) return first;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && isEarlier(heap[child + 1] as Event, heap[child] as Event)) child += 1;
      if (!isEarlier(heap[child] as Event, last)) break;
      heap[at] = heap[child] as Event;
      at = child;
    }
    heap[at] = last;
    return first;
  }
}

export function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error));
}

function isEarlier(a: Event, b: Event): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order);
}
