/** Instances of the client at work in virtual time; what they did is the oracle of what must be there. */
import type { OnlineClient } from '@keyferry/client';
import { keyFromText } from '@keyferry/core';
import { expect } from 'vitest';
import { DualReadStage, text } from './dual-read-stage.ts';

export const bytes = (value: string): Uint8Array => Buffer.from(value);

/** Instances at work, each on keys of its own; what is there must be what they say. */
export class Crowd {
  readonly wanted = new Map<string, string>();
  readonly clients: OnlineClient[] = [];
  private readonly stage: DualReadStage;
  private readonly working: Promise<void>[] = [];
  private isOver = false;

  constructor(stage: DualReadStage) {
    this.stage = stage;
  }

  async open(count: number): Promise<void> {
    for (let i = 0; i < count; i += 1) {
      this.clients.push(await this.stage.clock.until(this.stage.openClient(`app-${i}`)));
    }
  }

  /** From now on every instance writes, deletes and reads, until `end`. */
  start(): void {
    for (const [i, client] of this.clients.entries()) this.working.push(this.work(client, i));
  }

  async end(): Promise<void> {
    this.isOver = true;
    await this.stage.clock.until(Promise.all(this.working));
    for (const client of this.clients) await this.stage.clock.until(client.close());
  }

  expected(): Readonly<Record<string, string>> {
    return Object.fromEntries([...this.wanted].toSorted(([a], [b]) => (a < b ? -1 : 1)));
  }

  private async work(client: OnlineClient, i: number): Promise<void> {
    const { clock } = this.stage;
    for (let round = 0; !this.isOver; round += 1) {
      const key = `app/${i}/${String(round % 20).padStart(2, '0')}`;
      if (round % 3 === 1) {
        const before = await client.deleteAndGet(key);
        expect(text(before?.value)).toBe(this.wanted.get(key));
        this.wanted.delete(key);
      } else if (round % 3 === 2) {
        await client.put(key, `round ${round}`);
        this.wanted.set(key, `round ${round}`);
      }
      expect(text((await client.get(key))?.value)).toBe(this.wanted.get(key));
      await clock.sleep(70);
    }
  }
}

/** A stage with twenty records for each of two instances, both at work. */
export async function crowdedStage() {
  const stage = new DualReadStage();
  const crowd = new Crowd(stage);
  for (let i = 0; i < 2; i += 1) {
    for (let k = 0; k < 20; k += 1) {
      const key = `app/${i}/${String(k).padStart(2, '0')}`;
      stage.source.put(keyFromText(key), bytes(`first ${k}`));
      crowd.wanted.set(key, `first ${k}`);
    }
  }
  await crowd.open(2);
  crowd.start();
  await stage.clock.advance(1000);
  return { stage, crowd };
}
