/** A stage for tests of watches: late memory stores, instances that write at random, and a controller that moves them. */
import {
  applicationChange,
  keyFromText,
  keyToText,
  type Key,
  type OnlineSource,
  type OnlineTarget,
  type SwitchRecord,
} from '@keyferry/core';
import { MemoryOnlineSource, MemoryOnlineTarget, MemorySwitch } from '@keyferry/core/testing';
import {
  openClient,
  type ClientChange,
  type ClientOptions,
  type ClientWatch,
  type OnlineClient,
} from '../src/index.ts';
import { Controller, type ControllerOptions } from './controller.ts';
import { VirtualClock } from './virtual-clock.ts';

const requestLifeMs = 400;
const keys = ['/a', '/b', '/c'] as const;
/** Nobody writes it while anybody watches; backfill copies it. */
export const idle = '/idle';
const settings = { leaseMs: 300, requestLifeMs, waitMaxMs: 2000, pollMs: 40 };
const everything = { start: '' as Key, end: null };

/** xorshift32: 0 or more, less than `end`. */
export function chanceOf(seed: number): (end: number) => number {
  let state = seed * 2654435761 || 1;
  return (end) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % end;
  };
}

/** How one change reads in a history. */
export const textOf = (change: ClientChange): string =>
  `${change.key} ${change.kind === 'put' ? Buffer.from(change.value).toString('utf8') : 'gone'}`;

export class Stage {
  readonly clock = new VirtualClock();
  readonly place = new MemorySwitch();
  readonly source = new MemoryOnlineSource(() => this.clock.nowMs());
  readonly target: MemoryOnlineTarget;
  /** What the stores did for applications, in order. */
  readonly done: string[] = [];
  private instances = 0;

  /** @param tells what watchers of the target are told: every change, or what differs from their last look */
  constructor(tells: 'log' | 'state' = 'log') {
    this.target = new MemoryOnlineTarget(() => this.clock.nowMs(), null, tells);
  }

  open(wraps: Partial<ClientOptions> = {}): Promise<OnlineClient> {
    const uniqueId = (): string => String((this.instances += 1));
    const { clock, place, source, target } = this;
    const options: ClientOptions = {
      name: 'app',
      switch: place,
      source,
      target,
      clock,
      uniqueId,
      ...settings,
      ...wraps,
    };
    return openClient(options);
  }

  controlled(): ControllerOptions {
    const { place, source, target, clock } = this;
    const heads = async () => ({ source: source.head(), target: target.head() });
    return { place, source, target, clock, requestLifeMs, heads };
  }

  controller(givesUp: () => boolean = () => false): Controller {
    return new Controller({ ...this.controlled(), givesUp });
  }

  /** To its end, with time going on meanwhile. */
  run<T>(work: Promise<T>): Promise<T> {
    return this.clock.until(work);
  }

  /** As the applications' own stores: late, and noting what took effect. */
  late(below: (end: number) => number): { readonly source: OnlineSource; readonly target: OnlineTarget } {
    const { clock, source, target, done } = this;
    const pause = (): Promise<void> => clock.sleep(below(25));
    const note = (key: Key, change: string): void => void done.push(`${keyToText(key)} ${change}`);
    return {
      source: override<OnlineSource, 'ask'>(source, 'ask', async (key, request) => {
        await pause();
        const answer = await source.ask(key, request);
        if (request.kind === 'write' && answer.kind === 'written') {
          if (request.write.kind === 'put') note(key, Buffer.from(request.write.value).toString('utf8'));
          else if (answer.previous !== null) note(key, 'gone');
        }
        await pause();
        return answer;
      }),
      target: override<OnlineTarget, 'ask'>(target, 'ask', async (key, request, seen) => {
        await pause();
        const answer = await target.ask(key, request, seen);
        if (request.kind === 'write' && answer.kind === 'written') {
          const { record, tombstone } = answer.previous;
          if (request.write.kind === 'put') note(key, Buffer.from(request.write.value).toString('utf8'));
          // Of a key that was never copied, or of none at all: its tombstone says so, the first time.
          else if (record !== null || (request.tombstone === 'write' && !tombstone)) note(key, 'gone');
        }
        await pause();
        return answer;
      }),
    };
  }
}

/** The same object, but for one member. */
export function override<T extends object, N extends keyof T>(of: T, member: N, by: T[N]): T {
  return new Proxy(of, {
    get: (object, name) => {
      if (name === member) return by;
      const found: unknown = Reflect.get(object, name);
      return typeof found === 'function' ? (found.bind(object) as unknown) : found;
    },
  });
}

/** Carries applications' changes of the target back, from `migrating` on. */
async function reverseTail({ place, source, target, clock }: Stage, isOver: () => boolean): Promise<number> {
  let carried = 0;
  let from: SwitchRecord['watchFrom'] = null;
  while (from === null && !isOver()) {
    from = (await place.read())?.value.watchFrom ?? null;
    await clock.sleep(5);
  }
  if (from === null) return 0;
  const moves = await target.moves.open(everything, from);
  while (!isOver()) {
    const step = await moves.read({ changesMax: 10, waitMs: 0 });
    for (const move of step.kind === 'moves' ? step.moves : []) {
      const change = applicationChange(move);
      if (change === null) continue;
      const write =
        change.kind === 'put'
          ? ({ kind: 'put', value: change.record.value, ttlMs: null } as const)
          : ({ kind: 'delete' } as const);
      await source.ask(move.key, { kind: 'write', write, expect: 'any' });
      carried += 1;
    }
    await clock.sleep(5);
  }
  return carried;
}

export async function collect(watch: ClientWatch, into: string[]): Promise<void> {
  for await (const page of watch) into.push(...page.map(textOf));
}

/** Each key has an order; two keys have none between them. */
export const byKey = (changes: readonly string[]): readonly (readonly string[])[] =>
  [...keys, idle].map((key) => changes.filter((change) => change.startsWith(`${key} `)));

/** To a goal of the controller, and a while further. */
export async function walked(stage: Stage, goal: 'apply' | 'finalize'): Promise<void> {
  await stage.run(stage.controller().walk(goal));
  await stage.clock.advance(500);
}

export interface Played {
  /** To each instance. */
  readonly shown: readonly (readonly string[])[];
  /** By the reverse tail. */
  readonly carried: number;
}

export async function play(stage: Stage, seed: number, wraps: Parameters<Stage['open']>[0] = {}): Promise<Played> {
  const below = chanceOf(seed);
  const { clock } = stage;
  const late = stage.late(below);
  const left = { kind: 'put', value: Buffer.from('from before'), ttlMs: null } as const;
  await stage.source.ask(keyFromText(idle), { kind: 'write', write: left, expect: 'any' });
  const clients = [];
  while (clients.length < 3) clients.push(await stage.open({ ...late, ...wraps }));
  const shown: string[][] = clients.map(() => []);
  const watching = await Promise.all(clients.map((client) => client.watch('/')));
  const collecting = watching.map((watch, i) => collect(watch, shown[i] ?? []));
  const progress = { isOver: false };
  let writes = 0;
  const working = clients.map(async (client) => {
    while (!progress.isOver) {
      const key = keys[below(keys.length)] ?? keys[0];
      if (below(3) === 0) await client.delete(key);
      else await client.put(key, `v${(writes += 1)}`);
      await clock.sleep(below(40));
    }
  });
  const tailing = reverseTail(stage, () => progress.isOver);
  const controller = stage.controller(() => below(100) < 15);
  for (const goal of ['apply', 'cutover', 'finalize'] as const) {
    await clock.sleep(200 + below(200));
    while (!(await controller.walk(goal)));
  }
  await clock.sleep(200);
  progress.isOver = true;
  await Promise.all(working);
  const carried = await tailing;
  await clock.sleep(2000); // all that happened has been shown by then
  for (const client of clients) await client.close();
  await Promise.all(collecting);
  return { shown, carried };
}
