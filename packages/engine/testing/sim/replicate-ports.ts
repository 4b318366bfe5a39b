/** The ports of strategy `replicate` as a simulated process holds them: each call past the weather, to the memory stores. */
import type {
  PrimaryRecord,
  PrimarySwitch,
  ReadableStore,
  Registrations,
  StoreView,
  TailControl,
  TailWriter,
} from '@keyferry/core';
import type { MemoryPrimarySwitch, MemoryStateStore, MemoryStore, MemoryTailWriter } from '@keyferry/core/testing';
import type { Engine } from '../../src/index.ts';
import { MemoryScratch } from '@keyferry/core/testing';
import type { SimProcess } from './process.ts';
import type { StoreName } from './weather.ts';

type Via = <T>(operation: string, effect: () => Promise<T>) => Promise<T>;

export function replicateEngine(
  process: SimProcess,
  stores: { readonly source: MemoryStore; readonly target: MemoryStore; readonly state: MemoryStateStore },
  primary: MemoryPrimarySwitch,
  positionFirst: boolean,
): Engine {
  const to =
    (name: StoreName): Via =>
    (operation, effect) =>
      process.call(name, operation, effect);
  const { state } = stores;
  const viaState = to('state');
  return {
    source: whole(stores.source, to('source')),
    target: whole(stores.target, to('target'), positionFirst),
    state: {
      read: (kind, scope, id) => viaState('read', () => state.read(kind, scope, id)),
      write: (kind, scope, id, item, expected) =>
        viaState(`write ${kind}`, () => state.write(kind, scope, id, item, expected)),
      remove: (kind, scope, id, expected) => viaState(`remove ${kind}`, () => state.remove(kind, scope, id, expected)),
      list: (kind, scope, page) => viaState(`list ${kind}`, () => state.list(kind, scope, page)),
      close: () => Promise.resolve(),
    },
    scratch: new MemoryScratch({ pageKeysMax: 3 }),
    clock: process.clock,
    random: process.random,
    host: { emit: () => undefined },
    replicate: { back: whole(stores.source, to('source')), primary: switchOf(primary, to('target')) },
  };
}

function switchOf(primary: MemoryPrimarySwitch, via: Via): PrimarySwitch {
  return {
    kind: 'key',
    where: 'simulated',
    instances: registrationsOf(primary, via),
    read: () => via('readSwitch', () => primary.read()),
    write: (record: PrimaryRecord, expected) => via('writeSwitch', () => primary.write(record, expected)),
    tell: () => Promise.resolve(),
    close: () => Promise.resolve(),
  };
}

function registrationsOf({ instances: inner }: MemoryPrimarySwitch, via: Via): Registrations {
  return calls(inner, via, ['registrations', 'readRegistration', 'writeRegistration', 'removeRegistration']);
}

function whole(store: MemoryStore, via: Via, positionFirst = false): MemoryStore {
  const control: MemoryStore['control'] = (migration) => {
    const inner = store.control(migration);
    return {
      ...calls(inner, via, [
        'readEpoch',
        'raiseEpoch',
        'readFence',
        'removeCreated',
        'readBefore',
        'restore',
        'dropControl',
        'readDone',
        'writeDone',
      ]),
      listCreated: (range, options) => inner.listCreated(range, options),
      claimChunk: async (chunk, fence, epoch) => {
        const outcome = await via('claimChunk', () => inner.claimChunk(chunk, fence, epoch));
        if (outcome.kind === 'refused') return outcome;
        const { writer } = outcome;
        return { kind: 'claimed' as const, writer: { write: (changes) => via('write', () => writer.write(changes)) } };
      },
    };
  };
  return {
    ...reading(store, via),
    capabilities: store.capabilities,
    publication: null,
    readMembers: () => Promise.resolve(null),
    countRecords: (range, max) => via('countRecords', () => store.countRecords(range, max)),
    lookUp: (keys) => via('lookUp', () => store.lookUp(keys)),
    control,
    tail: (migration) => tailOf(store.tail(migration), via, positionFirst),
  } as MemoryStore;
}

/** Those methods of an object, each through a call. */
function calls<T extends object, K extends keyof T & string>(inner: T, via: Via, names: readonly K[]): Pick<T, K> {
  const wrapped: Partial<Record<K, unknown>> = {};
  for (const name of names) {
    const method = inner[name] as (...parts: unknown[]) => Promise<unknown>;
    wrapped[name] = (...parts: unknown[]) => via(name, () => method.apply(inner, parts));
  }
  return wrapped as Pick<T, K>;
}

function reading(store: MemoryStore, via: Via): ReadableStore {
  const { feed } = store;
  return {
    capabilities: store.capabilities,
    feed: {
      capabilities: feed.capabilities,
      head: () => via('feedHead', () => feed.head()),
      unread: (position, notices) => via('feedUnread', () => feed.unread(position, notices)),
      hasReached: (position, mark) => feed.hasReached(position, mark),
      changesBetween: (position, mark) => feed.changesBetween(position, mark),
      open: async (range, after) => {
        let open = await via('feedOpen', () => feed.open(range, after));
        let at = after;
        return {
          // A read whose answer was lost is read again from where the caller stands, as a new connection would.
          read: async (options) => {
            const step = await via('feedRead', async () => {
              open = await feed.open(range, at);
              return open.read(options);
            });
            if (step.kind === 'changes') at = step.position;
            return step;
          },
          close: () => Promise.resolve(),
        };
      },
    },
    describe: () => via('describe', () => store.describe()),
    head: () => via('head', () => store.head()),
    openView: async (range) => {
      const view: StoreView = await via('openView', () => store.openView(range));
      return {
        position: view.position,
        close: () => view.close(),
        scan: (part, options) => {
          const pages = view.scan(part, { pageKeysMax: Math.min(3, options.pageKeysMax) })[Symbol.asyncIterator]();
          return { [Symbol.asyncIterator]: () => ({ next: () => via('scan', () => pages.next()) }) };
        },
      };
    },
    close: () => Promise.resolve(),
  };
}

function tailOf(inner: TailControl, via: Via, positionFirst: boolean): TailControl {
  return {
    capabilities: inner.capabilities,
    readTail: (tail) => via('readTail', () => inner.readTail(tail)),
    claimTail: async (tail, fence, epoch) => {
      const claim = await via('claimTail', () => inner.claimTail(tail, fence, epoch));
      return claim.kind === 'refused'
        ? claim
        : { ...claim, writer: writerOf(claim.writer as MemoryTailWriter, via, positionFirst) };
    },
  };
}

/**
 * Numbered by the caller, who alone knows which of its writes were answered.
 * @param positionFirst the rule that it breaks (SPEC R39): the position is stored by a request before that of the changes
 */
function writerOf(inner: MemoryTailWriter, via: Via, positionFirst: boolean): TailWriter {
  let answered = 0;
  return {
    apply: async (changes, position) => {
      if (positionFirst && position !== null && changes.length > 0) {
        const first = answered + 1;
        await via('apply', () => inner.applyAs(first, [], position));
        answered = first;
      }
      const sequence = answered + 1;
      const outcomes = await via('apply', () => inner.applyAs(sequence, changes, position));
      answered = sequence;
      return outcomes;
    },
  };
}
