/** An application of several instances at work, until it is told to stop; what they did is the oracle of what must be there. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { OnlineClient } from '@keyferry/client';
import { newTally, recordsOf, work, type Tally } from '../application.ts';

/** Between two rounds of an instance: the machine is shared with the servers and keyferry. */
const pauseMs = 4;

export class Application {
  private readonly clients: readonly OnlineClient[];
  private readonly tallies: readonly Tally[];
  private readonly prefix: string;
  private readonly counter: string;
  private isOver = false;
  private working: Promise<unknown> = Promise.resolve();

  /** @param prefix with a folder of its own for each instance below it, and the counter that all share */
  constructor(clients: readonly OnlineClient[], prefix: string) {
    this.clients = clients;
    this.tallies = clients.map(() => newTally());
    this.prefix = prefix;
    this.counter = `${prefix}count`;
  }

  start(): void {
    this.working = Promise.all(this.clients.map((client, i) => this.keepWorking(client, i)));
    this.working.catch(() => undefined); // whoever waits for it next is told
  }

  /** Until every instance has done so many rounds more. @throws what an instance found and should not have */
  async goOn(rounds: number): Promise<void> {
    const until = this.tallies.map(({ operations }) => operations + rounds);
    while (this.tallies.some(({ operations }, i) => operations < (until[i] ?? 0))) {
      await Promise.race([sleep(20), this.working]);
    }
  }

  /** Writes nothing any more. */
  async stop(): Promise<void> {
    this.isOver = true;
    await this.working;
  }

  /** All that must be there once it has stopped. */
  records(): ReadonlyMap<string, string> {
    return recordsOf(this.tallies, this.counter);
  }

  /** Stops and leaves the switch. @returns all that must be there now */
  async end(): Promise<ReadonlyMap<string, string>> {
    await this.stop();
    for (const client of this.clients) await client.close();
    return this.records();
  }

  private async keepWorking(client: OnlineClient, i: number): Promise<void> {
    const tally = this.tallies[i] as Tally;
    for (let round = 0; !this.isOver; round += 1) {
      await work(client, `${this.prefix}${i}/`, round, tally, this.counter);
      await sleep(pauseMs);
    }
  }
}
