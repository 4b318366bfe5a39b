/**
 * An application of several instances at work: each writes, deletes and reads keys of its own and counts up one key that all
 * share, by comparisons. What they did is the oracle of what must be there afterwards.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { OnlineClient } from '@keyferry/client';

export const textOf = (record: { readonly value: Uint8Array } | null): string | null =>
  record && Buffer.from(record.value).toString('utf8');

const keysEach = 40;
const pauseMs = 4;

export class Application {
  /** What an answer said that cannot be; empty, or something was lost or came back. */
  readonly surprises: string[] = [];
  operations = 0;
  /** Longest time that one operation took, in milliseconds. */
  slowestMs = 0;
  private readonly clients: readonly OnlineClient[];
  private readonly wanted = new Map<string, string>();
  private readonly prefix: string;
  private counted = 0;
  private isOver = false;
  private working: Promise<unknown> = Promise.resolve();

  /** @param before what is there of the instances' own keys, by key */
  constructor(clients: readonly OnlineClient[], prefix: string, before: ReadonlyMap<string, string>) {
    this.clients = clients;
    this.prefix = prefix;
    for (const [key, value] of before) this.wanted.set(key, value);
  }

  start(): void {
    this.working = Promise.all(this.clients.map((client, i) => this.work(client, `${this.prefix}${i}/`)));
  }

  /** Until every instance has done as much again. */
  async goOn(operations: number): Promise<void> {
    const until = this.operations + operations * this.clients.length;
    while (this.operations < until) await Promise.race([sleep(20), this.working.then(() => sleep(20))]);
  }

  /** Stops and leaves the switch. @returns all that must be there now */
  async end(): Promise<ReadonlyMap<string, string>> {
    this.isOver = true;
    await this.working;
    for (const client of this.clients) await client.close();
    return new Map([...this.wanted, [`${this.prefix}count`, String(this.counted)]]);
  }

  private async work(client: OnlineClient, own: string): Promise<void> {
    for (let round = 0; !this.isOver; round += 1) {
      const startedAtMs = performance.now();
      await this.once(client, `${own}${String(round % keysEach).padStart(4, '0')}`, round);
      this.slowestMs = Math.max(this.slowestMs, performance.now() - startedAtMs);
      this.operations += 1;
      await sleep(pauseMs);
    }
  }

  private async once(client: OnlineClient, key: string, round: number): Promise<void> {
    const before = this.wanted.get(key) ?? null;
    if (round % 5 === 3) {
      this.expect(`what ${key} was`, textOf(await client.deleteAndGet(key)), before);
      this.wanted.delete(key);
    } else if (round % 2 === 0) {
      await client.put(key, `round ${round}`);
      this.wanted.set(key, `round ${round}`);
    }
    this.expect(key, textOf(await client.get(key)), this.wanted.get(key) ?? null);
    const count = `${this.prefix}count`;
    const current = await client.get(count);
    const next = String(Number(textOf(current) ?? '0') + 1);
    const swap = await client.compareAndSwap(count, current?.token ?? null, next);
    if (swap.kind === 'written') this.counted += 1;
  }

  private expect(what: string, found: string | null, wanted: string | null): void {
    if (found !== wanted) this.surprises.push(`${what}: ${found ?? 'nothing'} instead of ${wanted ?? 'nothing'}`);
  }
}
