/**
 * Goal: what applications are told has an order, whatever the network does while a migration goes forward, gives up and
 * goes forward again (SPEC I13).
 * Method: seeded: three clients on two keys, every request and every answer late by chance, some lost, an instance that
 * starts late and one that is cut off from the switch; each key's history is tested for linearizability as it happens.
 */
import { describe, expect, it } from 'vitest';
import { isKeyferryError, KeyferryError, type Token } from '@keyferry/core';
import {
  answered,
  asked,
  MemoryOnlineSource,
  MemoryOnlineTarget,
  MemorySwitch,
  MemorySwitchData,
  newHistory,
  nothing,
  settled,
  withdrawn,
  type Asked,
  type History,
  type HistoryId,
  type Said,
} from '@keyferry/core/testing';
import { openClient, type OnlineClient } from '../src/index.ts';
import { Controller } from './controller.ts';
import { VirtualClock } from './virtual-clock.ts';

const seeds = 200;
const seedsPerTest = 40;
const clientsMax = 3;
const keys = ['/a', '/b'] as const;
const requestLifeMs = 400;

class Chance {
  private state: number;

  constructor(seed: number) {
    this.state = seed * 2654435761 || 1;
  }

  /** xorshift32: 0 or more, less than `end`. */
  below(end: number): number {
    this.state ^= this.state << 13;
    this.state ^= this.state >>> 17;
    this.state ^= this.state << 5;
    return (this.state >>> 0) % end;
  }

  hits(percent: number): boolean {
    return this.below(100) < percent;
  }

  of<T>(some: readonly T[]): T {
    return some[this.below(some.length)] as T;
  }
}

class Run {
  readonly clock = new VirtualClock();
  readonly violations: string[] = [];
  /** What must happen at all for a run to say something. */
  readonly seen = new Map<string, number>();
  private readonly chance: Chance;
  private readonly data = new MemorySwitchData();
  private readonly place = new MemorySwitch(this.data);
  private readonly source = new MemoryOnlineSource(() => this.clock.nowMs());
  private readonly target: MemoryOnlineTarget;
  private readonly histories = new Map<string, History>(keys.map((key) => [key, newHistory(nothing)]));
  private readonly values = new Map<string, HistoryId>();
  private operations = 0;
  private isOver = false;

  private readonly waitsForNobody: boolean;

  constructor(seed: number, waitsForNobody = false) {
    this.waitsForNobody = waitsForNobody;
    this.chance = new Chance(seed);
    this.target = new MemoryOnlineTarget(() => this.clock.nowMs(), seed % 2 === 0 ? this.data : null);
  }

  async play(): Promise<void> {
    const clients = Array.from({ length: clientsMax }, (_, i) => this.live(i));
    await this.walk();
    this.isOver = true;
    await Promise.all(clients);
  }

  private async walk(): Promise<void> {
    const { place, source, target, clock, chance, waitsForNobody } = this;
    const givesUp = (): boolean => chance.hits(10);
    const controller = new Controller({ place, source, target, clock, requestLifeMs, givesUp, waitsForNobody });
    for (const goal of ['apply', 'cutover', 'finalize'] as const) {
      await clock.sleep(300 + chance.below(300));
      while (!(await controller.walk(goal))) this.note(`gave up ${goal}`);
    }
    await clock.sleep(300);
  }

  private async live(index: number): Promise<void> {
    const { clock, chance } = this;
    // The last one starts somewhere in the middle.
    if (index === clientsMax - 1) await clock.sleep(chance.below(1500));
    const client = await openClient({
      name: `app-${index}`,
      switch: this.place,
      source: this.late(this.source),
      target: this.late(this.target),
      leaseMs: 300,
      requestLifeMs,
      waitMaxMs: 250,
      pollMs: 40,
      clock,
      uniqueId: () => String(index),
    });
    const tokens = new Map<string, { readonly token: Token; readonly id: HistoryId } | null>();
    while (!this.isOver) {
      await this.act(client, chance.of(keys), tokens);
      await clock.sleep(chance.below(30));
    }
    this.note(`ended in ${client.status.mode}`);
    await client.close();
  }

  private async act(
    client: OnlineClient,
    key: string,
    tokens: Map<string, { readonly token: Token; readonly id: HistoryId } | null>,
  ): Promise<void> {
    const number = (this.operations += 1);
    const kind = this.chance.of(['get', 'get', 'put', 'delete', 'take', 'compare'] as const);
    const text = `v${number}`;
    this.values.set(text, number);
    const known = tokens.get(key) ?? null;
    const what: Asked =
      kind === 'put'
        ? { kind, id: number }
        : kind === 'compare'
          ? { kind, expect: known?.id ?? nothing, id: number }
          : { kind };
    this.change(key, (history) => asked(history, number, what));
    try {
      const said = await this.ask(client, key, kind, text, tokens);
      if (said === null) this.change(key, (history) => withdrawn(history, number));
      else
        this.change(
          key,
          (history) => answered(history, number, said, []),
          `${client.status.instance} ${kind} said ${said}`,
        );
      this.note(kind);
    } catch (error) {
      this.note(error instanceof KeyferryError ? error.code : String(error));
      if (!(error instanceof KeyferryError)) throw error;
      // A write of which nobody knows stays open for one request life; nothing else has changed anything.
      if (isKeyferryError(error, 'client.outcome-unknown')) {
        void this.clock.sleep(requestLifeMs).then(() => this.change(key, (history) => settled(history, number, [])));
      } else this.change(key, (history) => withdrawn(history, number));
    }
  }

  private async ask(
    client: OnlineClient,
    key: string,
    kind: 'get' | 'put' | 'delete' | 'take' | 'compare',
    text: string,
    tokens: Map<string, { readonly token: Token; readonly id: HistoryId } | null>,
  ): Promise<Said | null> {
    switch (kind) {
      case 'get': {
        const record = await client.get(key);
        const id = this.idOf(record?.value);
        tokens.set(key, record && { token: record.token, id });
        return id;
      }
      case 'put':
        await client.put(key, text);
        return 'done';
      case 'delete':
        await client.delete(key);
        return 'done';
      case 'take':
        return this.idOf((await client.deleteAndGet(key))?.value);
      case 'compare': {
        const swap = await client.compareAndSwap(key, tokens.get(key)?.token ?? null, text);
        return swap.kind === 'written' ? 'done' : swap.kind === 'unmet' ? 'unmet' : null;
      }
    }
  }

  private idOf(value: Uint8Array | undefined): HistoryId {
    return value === undefined ? nothing : (this.values.get(Buffer.from(value).toString('utf8')) ?? -1);
  }

  private change(key: string, by: (history: History) => History, what = ''): void {
    const history = this.histories.get(key);
    if (history === undefined || history.possible.length === 0) return;
    const next = by(history);
    this.histories.set(key, next);
    if (next.possible.length === 0) this.violations.push(`${key} at ${this.clock.monotonicMs()}: ${what}`);
  }

  private note(what: string): void {
    this.seen.set(what, (this.seen.get(what) ?? 0) + 1);
  }

  /** Each request takes its time before and after its effect; some lose their answer, and some are lost or late for long. */
  private late<S extends MemoryOnlineSource | MemoryOnlineTarget>(store: S): S {
    const { clock, chance } = this;
    const ask = async (...given: Parameters<S['ask']>): Promise<unknown> => {
      const effect = (): Promise<unknown> => (store.ask as (...args: unknown[]) => Promise<unknown>)(...given);
      const timeout = new KeyferryError('store.timeout', { store: 's', detail: 'by chance' });
      await clock.sleep(chance.below(25));
      if (chance.hits(4)) {
        // The sender gives up; the request may still arrive, within its life.
        if (chance.hits(60)) void clock.sleep(chance.below(requestLifeMs - 100)).then(effect);
        await clock.sleep(10);
        throw timeout;
      }
      const answer = await effect();
      await clock.sleep(chance.below(25));
      if (chance.hits(2)) throw timeout;
      return answer;
    };
    return new Proxy(store, { get: (of, name) => (name === 'ask' ? ask : Reflect.get(of, name)) as unknown });
  }
}

describe('histories of clients', () => {
  const seen = new Map<string, number>();

  it.each(Array.from({ length: seeds / seedsPerTest }, (_, i) => i * seedsPerTest + 1))(
    'have an order in the seeds from %i on',
    async (first) => {
      for (let seed = first; seed < first + seedsPerTest; seed += 1) {
        const run = new Run(seed);
        await run.clock.until(run.play());
        for (const [what, count] of run.seen) seen.set(what, (seen.get(what) ?? 0) + count);
        expect(run.violations, `seed ${seed}`).toEqual([]);
      }
    },
    60_000,
  );

  it('have none where barriers are not waited for, and that is found', async () => {
    let found = 0;
    for (let seed = 1; seed <= seedsPerTest && found === 0; seed += 1) {
      const run = new Run(seed, true);
      await run.clock.until(run.play());
      found += run.violations.length;
    }
    expect(found).toBeGreaterThan(0);
  }, 60_000);

  it('have met what they are about', () => {
    const mustBeSeen = [
      'get',
      'compare',
      'client.outcome-unknown',
      'client.write-held',
      'gave up apply',
      'gave up cutover',
      'ended in normal',
    ];
    expect(mustBeSeen.filter((what) => !seen.has(what))).toEqual([]);
  });
});
