/**
 * The application: instances of the client at work. One that dies is followed by another one; what each is told goes into
 * the tally.
 */
import type { OnlineClient } from '@keyferry/client';
import { isKeyferryError, KeyferryError, type Token } from '@keyferry/core';
import type { SimProcess } from '@keyferry/engine/testing';
import { idOf, valueOf, type OnlineWorld } from './online-world.ts';
import { tree } from './tree-names.ts';
import { QueueWork, treeKinds } from './tree-work.ts';
import { nothing, type Asked, type HistoryId, type Said } from './tally.ts';

interface Known {
  readonly token: Token;
  readonly id: HistoryId;
  /** Of the world when it was read. */
  readonly rollbacks: number;
}

interface UnderWay {
  readonly key: string;
  readonly operation: HistoryId;
  readonly reads: boolean;
}

const kinds = ['get', 'get', 'put', 'put-ttl', 'delete', 'take', 'compare', 'list'] as const;
type Kind = (typeof kinds)[number];
type KeyKind = Exclude<Kind, 'list'>;
type TreeKind = Exclude<(typeof treeKinds)[number], Kind>;

export class Instances {
  private readonly world: OnlineWorld;
  readonly queue: QueueWork;
  private readonly underWay = new Map<SimProcess, readonly UnderWay[]>();
  private isOver = false;

  constructor(world: OnlineWorld) {
    this.world = world;
    this.queue = new QueueWork(world);
  }

  /** One place in the application that is always filled, until `end`. */
  async keepOne(place: string): Promise<void> {
    const { world } = this;
    while (!this.isOver) {
      const process = world.startProcess(place);
      const ending = await process.run(() => this.live(process));
      const instance = `${process.name}.0`;
      if (ending.kind === 'crashed') {
        world.note('instance crashed');
        world.dead.add(instance);
        this.leaveBehind(process);
      } else if (ending.kind === 'failed') world.violate(`${process.name} failed: ${String(ending.error)}`);
      await world.kernel.sleep(world.prng.fork(`after ${process.name}`).below(300));
    }
  }

  end(): void {
    this.isOver = true;
  }

  /** What it was at when it died: nobody learns what a read found, and a write may still happen for one request life. */
  private leaveBehind(process: SimProcess): void {
    const { tally, kernel, requestLifeMs } = this.world;
    for (const { key, operation, reads } of this.underWay.get(process) ?? []) {
      if (reads) tally.withdrawn(key, operation);
      else kernel.at(kernel.nowMs + requestLifeMs, () => tally.settled(key, operation));
    }
    this.underWay.delete(process);
  }

  private async live(process: SimProcess): Promise<void> {
    const client = await this.open(process);
    const known = new Map<string, Known | null>();
    while (!this.isOver) {
      const kind = process.random.pick<Kind | TreeKind>(this.world.work === 'trees' ? treeKinds : kinds);
      if (kind === 'list') await this.list(client, process);
      else if (kind === 'tree') await this.deleteTree(client, process);
      else if (kind === 'append' || kind === 'consume') await this.queue[kind](client);
      else await this.act(client, process, kind, process.random.pick(this.world.keys), known);
      await process.clock.sleep(process.random.below(160));
    }
    await client.close().catch(() => undefined); // what it held is told by its registration
  }

  private async open(process: SimProcess): Promise<OnlineClient> {
    for (;;) {
      try {
        return await this.world.openClientIn(process);
      } catch (error) {
        if (!(error instanceof KeyferryError)) throw error;
        await process.clock.sleep(50);
      }
    }
  }

  private async act(
    client: OnlineClient,
    process: SimProcess,
    kind: KeyKind,
    key: string,
    known: Map<string, Known | null>,
  ): Promise<void> {
    const { world } = this;
    const { tally, kernel } = world;
    const operation = tally.next();
    tally.asked(key, operation, askedOf(kind, operation, known.get(key) ?? null));
    if (kind === 'put-ttl') tally.endsAt(operation, kernel.nowMs + ttlMs - roundedDownMs);
    this.underWay.set(process, [{ key, operation, reads: kind === 'get' }]);
    try {
      const said = await ask(world, client, kind, key, operation, known);
      if (said === null) tally.withdrawn(key, operation);
      else tally.answered(key, operation, said, `${process.name} ${kind}`);
      world.note(kind);
    } catch (error) {
      if (!(error instanceof KeyferryError)) throw error;
      world.note(error.code);
      if (!isKeyferryError(error, 'client.outcome-unknown')) {
        tally.withdrawn(key, operation);
        return;
      }
      const { requestLifeMs } = world;
      kernel.at(kernel.nowMs + requestLifeMs, () => tally.settled(key, operation));
    }
  }

  /** To each key it is a delete, at a moment of its own. */
  private async deleteTree(client: OnlineClient, process: SimProcess): Promise<void> {
    const { world } = this;
    const deletes = world.keys.map((key) => ({ key, operation: world.tally.next(), reads: false }));
    for (const { key, operation } of deletes) world.tally.asked(key, operation, { kind: 'delete' });
    this.underWay.set(process, deletes);
    try {
      await client.deleteTree(tree);
      for (const { key, operation } of deletes) {
        world.tally.answered(key, operation, 'done', `${process.name} delete of the tree`);
      }
      world.note('tree');
    } catch (error) {
      if (!(error instanceof KeyferryError)) throw error;
      world.note(error.code);
      const { kernel, requestLifeMs, tally } = world;
      kernel.at(kernel.nowMs + requestLifeMs, () => {
        for (const { key, operation } of deletes) tally.settled(key, operation);
      });
    }
  }

  /** Each record of a list is as a read of its key would have found it while the list ran. */
  private async list(client: OnlineClient, process: SimProcess): Promise<void> {
    const { world } = this;
    const reads = world.keys.map((key) => ({ key, operation: world.tally.next() }));
    for (const { key, operation } of reads) world.tally.asked(key, operation, { kind: 'get' });
    this.underWay.set(
      process,
      reads.map((each) => ({ ...each, reads: true })),
    );
    try {
      const found = new Map<string, HistoryId>();
      for await (const page of client.list('app/')) for (const { key, value } of page) found.set(key, idOf(value));
      for (const { key, operation } of reads) {
        world.tally.answered(key, operation, found.get(key) ?? nothing, `${process.name} list`);
      }
      world.note('list');
    } catch (error) {
      if (!(error instanceof KeyferryError)) throw error;
      for (const { key, operation } of reads) world.tally.withdrawn(key, operation);
    }
  }
}

const ttlMs = 2500;
/** The way back rounds a TTL down to whole seconds, by the clock of a controller, which may be off. */
const roundedDownMs = 1500;

function askedOf(kind: KeyKind, id: HistoryId, known: Known | null): Asked {
  switch (kind) {
    case 'put':
    case 'put-ttl':
      return { kind: 'put', id };
    case 'compare':
      return { kind, expect: known?.id ?? nothing, id };
    case 'get':
    case 'delete':
    case 'take':
      return { kind };
  }
}

/** Null: nothing was said, and nothing written. */
async function ask(
  world: OnlineWorld,
  client: OnlineClient,
  kind: KeyKind,
  key: string,
  id: HistoryId,
  known: Map<string, Known | null>,
): Promise<Said | null> {
  switch (kind) {
    case 'get': {
      const record = await client.get(key);
      known.set(key, record && { token: record.token, id: idOf(record.value), rollbacks: world.rollbacks });
      return idOf(record?.value);
    }
    case 'put':
      await client.put(key, valueOf(id));
      return 'done';
    case 'put-ttl':
      await client.put(key, valueOf(id), { ttlMs });
      return 'done';
    case 'delete':
      await client.delete(key);
      return 'done';
    case 'take':
      return idOf((await client.deleteAndGet(key))?.value);
    case 'compare': {
      const before = known.get(key) ?? null;
      const swap = await client.compareAndSwap(key, before?.token ?? null, valueOf(id));
      // With a version that the target gave before a rollback it may fail though nobody changed the record (SPEC, known limits).
      const isOfBefore = before?.token.store === 'target' && before.rollbacks !== world.rollbacks;
      return swap.kind === 'written' ? 'done' : swap.kind === 'unmet' && !isOfBefore ? 'unmet' : null;
    }
  }
}
