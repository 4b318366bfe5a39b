/**
 * The ports as a simulated process holds them: each call goes through the kernel to the memory stores, past the
 * witnesses. The engine cannot tell them from real ones; that is why what is found here is true of it.
 */
import type {
  ChunkWriter,
  Fence,
  Key,
  KeyRange,
  ReadableStore,
  RecordPage,
  ScanOptions,
  Scratch,
  SourceStore,
  StateStore,
  StateVersion,
  StoreView,
  TargetControl,
  TargetStore,
} from '@keyferry/core';
import {
  packedPageOf,
  putsOf,
  type MemoryScratch,
  type MemoryStateStore,
  type MemoryStore,
} from '@keyferry/core/testing';
import type { SimProcess } from './process.ts';
import type { StateWitness } from './state-witness.ts';
import type { TargetWitness } from './target-witness.ts';
import type { StoreName } from './weather.ts';

/** What the ports tell about themselves; the scenario acts on it. */
export interface PortEvents {
  /** In the instant in which a view opens. */
  readonly viewOpened: (side: 'source' | 'target') => void;
  readonly viewsLeft: (process: string, change: 1 | -1) => void;
  /** Just before, and just after, a backfill write takes effect. */
  readonly aroundWrite: (keys: readonly string[]) => void;
  /** What the target answered to a batch that came as it lay in its page. */
  readonly packed: (answer: string) => void;
  /** Right after a chunk was claimed in the target. */
  readonly claimed: () => void;
  /** Just before the source is scanned. */
  readonly beforeScan: () => void;
}

export interface PortContext {
  readonly process: SimProcess;
  /** Which plan it applies in an attempt; empty when it applies none. */
  readonly planOf: (attempt: number) => string;
  readonly events: PortEvents;
  /** Most records in a page, whatever the engine asks for: small pages find more. */
  readonly pageKeysMax: number;
}

function readable(context: PortContext, side: 'source' | 'target', store: ReadableStore): ReadableStore {
  const { process, events, pageKeysMax } = context;
  const via = <T>(operation: string, effect: () => Promise<T>) => process.call(side, operation, effect);
  const openView = (range: KeyRange): Promise<StoreView> =>
    via('openView', () => {
      const opened = store.openView(range);
      events.viewOpened(side);
      return opened;
    }).then((view) => {
      events.viewsLeft(process.name, 1);
      let open = true;
      return {
        position: view.position,
        close: () => {
          if (open) events.viewsLeft(process.name, -1);
          open = false;
          return view.close();
        },
        scan: (part: KeyRange, options: ScanOptions) => {
          const size = Math.min(options.pageKeysMax, pageKeysMax);
          const pages = packedInTurn(view.scan(part, { pageKeysMax: size }))[Symbol.asyncIterator]();
          const next = (): Promise<IteratorResult<RecordPage>> =>
            via('scan', () => {
              if (side === 'source') events.beforeScan();
              return pages.next();
            });
          return { [Symbol.asyncIterator]: () => ({ next }) };
        },
      };
    });
  return {
    capabilities: store.capabilities,
    describe: () => via('describe', () => store.describe()),
    head: () => via('head', () => store.head()),
    openView,
    close: () => Promise.resolve(),
  };
}

/** Every other page packed: stores of either kind there are, and rules and comparisons meet both. */
async function* packedInTurn(pages: AsyncIterable<RecordPage>): AsyncGenerator<RecordPage, void, undefined> {
  let isPacked = true;
  for await (const page of pages) {
    yield isPacked && page.unplaced === undefined ? packedPageOf(page.records, page.notCarried) : page;
    isPacked = !isPacked;
  }
}

export function simSource(context: PortContext, store: MemoryStore): SourceStore {
  return {
    ...readable(context, 'source', store),
    readMembers: () => context.process.call('source', 'readMembers', () => store.readMembers()),
  };
}

export function simTarget(context: PortContext, store: MemoryStore, witness: TargetWitness): TargetStore {
  return {
    ...readable(context, 'target', store),
    capabilities: store.capabilities,
    publication: store.publication,
    countRecords: (range, max) => context.process.call('target', 'countRecords', () => store.countRecords(range, max)),
    lookUp: (keys) => context.process.call('target', 'lookUp', () => store.lookUp(keys)),
    control: (migration) => simControl(context, store.control(migration), witness),
  };
}

function simControl(context: PortContext, control: TargetControl, witness: TargetWitness): TargetControl {
  const { process, planOf, events, pageKeysMax } = context;
  const via = <T>(operation: string, effect: () => Promise<T>) => process.call('target', operation, effect);
  const writerOf = (
    writer: ChunkWriter,
    chunk: Parameters<TargetControl['claimChunk']>[0],
    fence: Fence,
    epoch: Fence,
  ): ChunkWriter => {
    const written = <T>(keys: readonly Key[], effect: () => Promise<T>): Promise<T> =>
      via('write', async () => {
        events.aroundWrite(keys);
        const plan = planOf(fence.attempt);
        const answer = witness.write({ process: process.name, plan, chunk, fence, epoch }, effect);
        events.aroundWrite(keys);
        return answer;
      });
    return {
      write: (changes) =>
        written(
          changes.map(({ key }) => key),
          () => writer.write(changes),
        ),
      ...(writer.writePacked !== undefined && {
        writePacked: (puts) =>
          written(
            putsOf(puts).map(({ key }) => key),
            async () => {
              const answer = (await writer.writePacked?.(puts)) ?? 'declined';
              events.packed(answer);
              return answer;
            },
          ),
      }),
    };
  };
  return {
    readEpoch: () => via('readEpoch', () => control.readEpoch()),
    raiseEpoch: (epoch) =>
      via('raiseEpoch', async () => {
        const outcome = await control.raiseEpoch(epoch);
        if (outcome.kind === 'raised') witness.raised(epoch);
        return outcome;
      }),
    readFence: (chunk) => via('readFence', () => control.readFence(chunk)),
    claimChunk: (chunk, fence, epoch) =>
      via('claimChunk', async () => {
        const outcome = await control.claimChunk(chunk, fence, epoch);
        if (outcome.kind === 'refused') return outcome;
        witness.claimed(chunk, fence, epoch, process.name);
        events.claimed();
        return { kind: 'claimed' as const, writer: writerOf(outcome.writer, chunk, fence, epoch) };
      }),
    listCreated: (range, options) => {
      const size = Math.min(options.pageKeysMax, pageKeysMax);
      const pages = control.listCreated(range, { pageKeysMax: size })[Symbol.asyncIterator]();
      return { [Symbol.asyncIterator]: () => ({ next: () => via('listCreated', () => pages.next()) }) };
    },
    removeCreated: (records, epoch) =>
      via('removeCreated', () =>
        witness.removeCreated(records, epoch, process.name, () => control.removeCreated(records, epoch)),
      ),
    readBefore: (keys) => via('readBefore', () => control.readBefore(keys)),
    restore: (restorations, epoch) =>
      via('restore', () => witness.restore(epoch, process.name, () => control.restore(restorations, epoch))),
    dropControl: (epoch) =>
      via('dropControl', async () => {
        await control.dropControl(epoch);
        witness.droppedControl(epoch, process.name);
      }),
    readDone: () => via('readDone', () => control.readDone()),
    writeDone: (marker, epoch) =>
      via('writeDone', async () => {
        await control.writeDone(marker, epoch);
        witness.wroteDone(epoch, process.name);
      }),
  };
}

/** On the process's own disk: it does not fail, but is to be cleared away like a view. */
export function simScratch({ process, events }: PortContext, scratch: MemoryScratch): Scratch {
  return {
    openSpool: () => {
      const spool = scratch.openSpool();
      events.viewsLeft(process.name, 1);
      let open = true;
      return {
        add: (record) => spool.add(record),
        addNotCarried: (entry) => spool.addNotCarried(entry),
        seal: (repeated) => spool.seal(repeated),
        scan: (range, options) => spool.scan(range, options),
        close: () => {
          if (open) events.viewsLeft(process.name, -1);
          open = false;
          spool.close();
        },
      };
    },
  };
}

export function simState(
  { process }: PortContext,
  store: MemoryStateStore,
  witness: StateWitness,
  losesImages: boolean,
): StateStore {
  const via = <T>(operation: string, effect: () => Promise<T>) =>
    process.call('state' satisfies StoreName, operation, effect);
  return {
    read: (kind, scope, id) => via('read', () => store.read(kind, scope, id)),
    write: (kind, scope, id, item, expected) =>
      via(`write ${kind} ${id}`, async () => {
        if (losesImages && kind === 'before') return { kind: 'written', version: '0' as StateVersion };
        const before = await store.read(kind, scope, id);
        const outcome = await store.write(kind, scope, id, item, expected);
        if (outcome.kind === 'written') witness.changed(process, kind, id, before?.item ?? null, item);
        return outcome;
      }),
    remove: (kind, scope, id, expected) => via(`remove ${kind}`, () => store.remove(kind, scope, id, expected)),
    list: (kind, scope, page) => via(`list ${kind}`, () => store.list(kind, scope, page)),
    close: () => Promise.resolve(),
  };
}
