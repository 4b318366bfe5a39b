/**
 * The application that uses a tree: whole directories are deleted (each key of one is then deleted in its own history), and a
 * queue is filled by keys in order and taken from its front, with an oracle of its own.
 *
 *     a key is given once; behind every key whose making had ended before; and no record is lost, taken twice, or back again
 */
import type { OnlineClient } from '@keyferry/client';
import { isKeyferryError, KeyferryError } from '@keyferry/core';
import { idOf, valueOf, type OnlineWorld } from './online-world.ts';
import type { HistoryId } from './tally.ts';
import { queue } from './tree-names.ts';

export const treeKinds = ['get', 'put', 'put', 'delete', 'compare', 'tree', 'append', 'append', 'consume'] as const;

interface Made {
  readonly id: HistoryId;
  readonly endedAt: number;
}

export class QueueWork {
  private readonly world: OnlineWorld;
  /** Counts what is begun and ended, so that both have an order where no time goes by. */
  private moments = 0;
  private readonly made = new Map<string, Made>();
  private readonly taken = new Set<HistoryId>();
  /** Keys whose taker was told nothing, each as often as that is so. */
  private readonly doubts: { readonly key: string }[] = [];

  constructor(world: OnlineWorld) {
    this.world = world;
  }

  async append(client: OnlineClient): Promise<void> {
    const { world } = this;
    const id = world.tally.next();
    const beganAt = (this.moments += 1);
    try {
      const { key } = await client.createInOrder(queue, valueOf(id));
      if (this.made.has(key)) world.violate(`${key}: an operation was given a key that another one had`);
      for (const [other, { endedAt }] of this.made) {
        if (endedAt < beganAt && other > key) world.violate(`${key}: an operation was given a key before ${other}`);
      }
      this.made.set(key, { id, endedAt: (this.moments += 1) });
      world.note('append');
    } catch (error) {
      this.noteFailure(error);
    }
  }

  async consume(client: OnlineClient): Promise<void> {
    try {
      const key = await firstOf(client);
      if (key === null) return;
      const doubt = { key };
      this.doubts.push(doubt);
      const record = await client.deleteAndGet(key).catch((error: unknown) => {
        if (!isKeyferryError(error, 'client.outcome-unknown')) this.settle(doubt);
        throw error;
      });
      this.settle(doubt);
      if (record === null) return;
      const id = idOf(record.value);
      if (this.taken.has(id)) this.world.violate(`${key}: an operation was told what another one had taken`);
      this.taken.add(id);
      this.world.note('consume');
    } catch (error) {
      this.noteFailure(error);
    }
  }

  /** @param held what the store in charge holds in the end */
  judge(held: ReadonlyMap<string, HistoryId>): void {
    for (const [key, { id }] of this.made) {
      const isThere = held.get(key) === id;
      if (this.taken.has(id) && isThere) this.world.violate(`${key} is back in the end`);
      const mustBeThere = !this.taken.has(id) && !this.doubts.some((doubt) => doubt.key === key);
      if (mustBeThere && !isThere) this.world.violate(`${key} is lost in the end`);
    }
  }

  private settle(doubt: { readonly key: string }): void {
    this.doubts.splice(this.doubts.indexOf(doubt), 1);
  }

  private noteFailure(error: unknown): void {
    if (!(error instanceof KeyferryError)) throw error;
    this.world.note(error.code);
  }
}

async function firstOf(client: OnlineClient): Promise<string | null> {
  for await (const page of client.listDirectory(queue.directory)) {
    const first = page.find((entry) => entry.kind === 'record');
    if (first !== undefined) return first.key;
  }
  return null;
}
