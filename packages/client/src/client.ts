/**
 * The client that an application embeds for the time of a migration, and after it for as long as it likes.
 *
 *     application ─► client ─┬─ presence (presence.ts): the switch says the mode, the client follows
 *                            ├─ operations (run-operation.ts) ─► source, target
 *                            └─ lists (merged-list.ts) ────────► both
 *
 * Each key is linearizable over both stores, for all instances together, in every mode and across every change of mode
 * (SPEC I13). What an operation may cost beyond one on a plain store: in `draining` and `migrating` a read of a key that is
 * only in the source costs one request more, of a key that is nowhere two; writes wait while `draining` lasts.
 */
import {
  indexOf,
  invariant,
  keyFromText,
  keyToText,
  modeTable,
  noBridge,
  prefixRange,
  tokenAt,
  type Directory,
  type InOrder,
  type InstanceId,
  type Mode,
  type OperationResult,
  type SwitchEpoch,
  type Token,
  type TokenRecord,
  type Write,
} from '@keyferry/core';
import { machineClock, machineId } from './machine.ts';
import { mergedPages, type AnyRecord } from './merged-list.ts';
import { settingsOf, type ClientOptions } from './options.ts';
import { modeOf, modePart, modesOf } from './mode-presence.ts';
import { Presence } from './presence.ts';
import {
  createDirectory,
  createInOrder,
  deleteDirectory,
  deleteTree,
  listDirectory,
  type DirectoryEntry,
  type TreeParts,
} from './trees.ts';
import { Watch, type ClientWatch } from './watch.ts';
import { resultOf, runOperation, type Runner } from './run-operation.ts';

/** A record as it was at one moment. */
export interface ClientRecord {
  readonly value: Uint8Array;
  /** Names this state of the record, for `compareAndSwap`. It may be kept and sent as JSON. */
  readonly token: Token;
}

export interface ListedRecord extends ClientRecord {
  readonly key: string;
}

export interface PutOptions {
  /** In milliseconds; stores round up to what they can hold, etcd to whole seconds. Default: it stays. */
  readonly ttlMs?: number;
}

export type Swap =
  | { readonly kind: 'written'; readonly token: Token | null }
  /** Something else is there, or nothing (`null`); nothing was written. */
  | { readonly kind: 'unmet'; readonly current: ClientRecord | null }
  /** Whether the record changed cannot be told any more (after a rollback, or `normal`). Nothing was written; read again. */
  | { readonly kind: 'outdated' };

export interface ClientStatus {
  readonly instance: InstanceId;
  readonly mode: Mode;
  readonly epoch: SwitchEpoch;
  /** False past the lease: operations wait. For health checks. */
  readonly serving: boolean;
}

/** Bytes, or text that is stored as UTF-8. */
export type ClientValue = Uint8Array | string;

export interface OnlineClient {
  readonly status: ClientStatus;
  get(key: string): Promise<ClientRecord | null>;
  put(key: string, value: ClientValue, options?: PutOptions): Promise<{ readonly token: Token }>;
  /** Besides, the record as it was right before; null: there was none. Costs a request more in `migrating`. */
  putAndGet(
    key: string,
    value: ClientValue,
    options?: PutOptions,
  ): Promise<{ readonly token: Token; readonly previous: ClientRecord | null }>;
  delete(key: string): Promise<void>;
  /** The record as it was right before; null: there was none. Costs a request more in `migrating`. */
  deleteAndGet(key: string): Promise<ClientRecord | null>;
  /** Writes only over the state that `expected` names; null: only where nothing is. */
  compareAndSwap(key: string, expected: Token | null, value: ClientValue, options?: PutOptions): Promise<Swap>;
  compareAndDelete(key: string, expected: Token): Promise<Swap>;
  /**
   * Pages of the records whose keys begin with a prefix, in the order of their bytes. Each record is as a read of its key
   * would have found it while the list ran; the list as a whole is no snapshot. A mode is acknowledged only when lists that
   * began before are over, so do not leave one open.
   */
  list(prefix: string): AsyncIterable<readonly ListedRecord[]>;
  /**
   * Watches the keys that begin with a prefix. Resolves once every change that an application makes from now on will be
   * shown: once, in the order of its key, as pages of changes; no copy of a migration, and nothing twice. So list after
   * it: what changes meanwhile is in the list, among the changes, or in both. Ends with `client.watch-lost` where changes
   * may be missing (the store dropped its history; the migration was taken back): open another, and list.
   */
  watch(prefix: string): Promise<ClientWatch>;
  /**
   * The number of a record's state, for applications that compare the indexes of etcd v2: they go on growing in the target,
   * and a copied record keeps its own. Null where it has none: read again. After a rollback they are those of the source
   * once more, which may be lower.
   */
  indexOf(token: Token): number | null;
  /** The token of a state by its number, as `prevIndex` in etcd v2; null: it cannot be told any more, read again. */
  tokenAt(index: number): Token | null;
  /**
   * Deletes a record and all whose keys lie below it, as a recursive delete of etcd v2 does, key by key: each that was there
   * is deleted at some moment before this ends, and comes back in no mode; one that is written meanwhile may stay. Watches
   * are shown each. Holds the names of all of them in memory.
   * @throws `client.tree-unfinished`: some are deleted, the others are as they were. Do it again
   */
  deleteTree(at: Directory): Promise<{ readonly deleted: number }>;
  /**
   * Pages of what lies directly in a directory: its records, and the directories that have something below them, in the
   * order of `list`. Reads everything below it; empty where there is no such directory.
   */
  listDirectory(at: Directory): AsyncIterable<readonly DirectoryEntry[]>;
  /** Makes a directory that is there with nothing in it, by a record of its own. Of several who do so one is told `created`. */
  createDirectory(at: Directory): Promise<'created' | 'exists'>;
  /** Only if nothing is in it. A key that is put meanwhile makes it be there again. */
  deleteDirectory(at: Directory): Promise<'deleted' | 'missing' | 'not-empty'>;
  /**
   * Creates a record whose key sorts behind all that were created before, as a POST of etcd v2 does, and is given once: over
   * both stores, in every mode, and after a rollback too. Where several create at once, the higher key may be there first.
   */
  createInOrder(
    order: InOrder,
    value: ClientValue,
    options?: PutOptions,
  ): Promise<{ readonly key: string; readonly token: Token }>;
  /** Waits for what is under way and leaves the switch. The stores stay open: they are the application's. */
  close(): Promise<void>;
}

/**
 * Registers at the switch and serves from then on.
 * @throws the switch's errors
 *
 * @example
 *     const client = await openClient({ name: 'api', switch: place, source, target });
 *     const found = await client.get('/config/limit');
 *     await client.compareAndSwap('/config/limit', found?.token ?? null, '20');
 *     await client.close();
 */
export async function openClient(options: ClientOptions): Promise<OnlineClient> {
  const { name, clock = machineClock, uniqueId = machineId, onProblem = () => undefined } = options;
  const settings = settingsOf(options);
  const { source, target } = options;
  const instance = `${name}.${uniqueId()}` as InstanceId;
  const part = modePart(target.comparesSwitch);
  const presence = new Presence(modesOf(options.switch), instance, clock, settings, onProblem, part);
  await presence.start();
  return new Client({ presence, source, target, clock, waitMaxMs: settings.waitMaxMs }, onProblem);
}

class Client implements OnlineClient {
  private readonly runner: Runner;
  private readonly onProblem: (error: unknown) => void;
  private readonly watches = new Set<ClientWatch>();
  private isClosed = false;

  constructor(runner: Runner, onProblem: (error: unknown) => void) {
    this.runner = runner;
    this.onProblem = onProblem;
  }

  get status(): ClientStatus {
    const { presence } = this.runner;
    return { instance: presence.instance, mode: modeOf(presence), ...presence.status };
  }

  async get(key: string): Promise<ClientRecord | null> {
    return resultOf(await this.run(key, { kind: 'get' }), 'read').record;
  }

  async put(key: string, value: ClientValue, options?: PutOptions): Promise<{ readonly token: Token }> {
    const { token } = resultOf(
      await this.run(key, { kind: 'write', write: putOf(value, options), previous: false }),
      'written',
    );
    return { token: tokenOf(token) };
  }

  async putAndGet(
    key: string,
    value: ClientValue,
    options?: PutOptions,
  ): Promise<{ readonly token: Token; readonly previous: ClientRecord | null }> {
    const { token, previous } = resultOf(
      await this.run(key, { kind: 'write', write: putOf(value, options), previous: true }),
      'written',
    );
    return { token: tokenOf(token), previous: previous ?? null };
  }

  async delete(key: string): Promise<void> {
    await this.run(key, { kind: 'write', write: { kind: 'delete' }, previous: false });
  }

  async deleteAndGet(key: string): Promise<ClientRecord | null> {
    const operation = { kind: 'write', write: { kind: 'delete' }, previous: true } as const;
    return resultOf(await this.run(key, operation), 'written').previous ?? null;
  }

  async compareAndSwap(key: string, expected: Token | null, value: ClientValue, options?: PutOptions): Promise<Swap> {
    const operation = { kind: 'compare', expect: expected, write: putOf(value, options) } as const;
    return resultOf(await this.run(key, operation), 'written', 'unmet', 'outdated');
  }

  async compareAndDelete(key: string, expected: Token): Promise<Swap> {
    const operation = { kind: 'compare', expect: expected, write: { kind: 'delete' } } as const;
    return resultOf(await this.run(key, operation), 'written', 'unmet', 'outdated');
  }

  async *list(prefix: string): AsyncIterable<readonly ListedRecord[]> {
    this.assertOpen();
    const { presence, source, target, clock, waitMaxMs } = this.runner;
    const range = prefixRange(keyFromText(prefix));
    const begun = await presence.beginWithin(clock.monotonicMs() + waitMaxMs);
    try {
      const { reads } = modeTable[modeOf(begun)];
      const pages: AsyncIterable<readonly AnyRecord[]> =
        reads === 'source'
          ? source.list(range)
          : mergedPages(target.list(range), () => (reads === 'target' ? nothing() : source.list(range)));
      for await (const page of pages) {
        if (!presence.isCertain(begun.operation)) throw presence.notServing();
        yield page.flatMap((record) => listedOf(record, reads === 'source'));
      }
      // That nothing more is there is an answer too.
      if (!presence.isCertain(begun.operation)) throw presence.notServing();
    } finally {
      presence.end(begun.operation, true);
    }
  }

  async watch(prefix: string): Promise<ClientWatch> {
    this.assertOpen();
    const { runner, onProblem, watches } = this;
    const onClose = (watch: ClientWatch): void => void watches.delete(watch);
    // An instance past its lease does not know in which store the next change is.
    const begun = await runner.presence.beginWithin(runner.clock.monotonicMs() + runner.waitMaxMs);
    try {
      const watch = await Watch.open({ ...runner, onProblem, onClose }, prefix, prefixRange(keyFromText(prefix)));
      watches.add(watch);
      return watch;
    } finally {
      runner.presence.end(begun.operation, true);
    }
  }

  deleteTree(at: Directory): Promise<{ readonly deleted: number }> {
    return deleteTree(this.trees, at);
  }

  listDirectory(at: Directory): AsyncIterable<readonly DirectoryEntry[]> {
    return listDirectory(this.trees, at);
  }

  createDirectory(at: Directory): Promise<'created' | 'exists'> {
    return createDirectory(this.trees, at);
  }

  deleteDirectory(at: Directory): Promise<'deleted' | 'missing' | 'not-empty'> {
    return deleteDirectory(this.trees, at);
  }

  createInOrder(
    order: InOrder,
    value: ClientValue,
    options?: PutOptions,
  ): Promise<{ readonly key: string; readonly token: Token }> {
    return createInOrder(this.trees, order, value, options);
  }

  indexOf(token: Token): number | null {
    return indexOf(token, this.runner.presence.record ?? noBridge);
  }

  tokenAt(index: number): Token | null {
    return tokenAt(index, this.runner.presence.record ?? noBridge);
  }

  async close(): Promise<void> {
    if (this.isClosed) return;
    this.isClosed = true;
    for (const watch of this.watches) await watch.close();
    await this.runner.presence.leave();
  }

  private get trees(): TreeParts {
    const { presence } = this.runner;
    return {
      keys: this,
      countsInSource: () => modeTable[modeOf(presence)].writes === 'source',
      bridge: () => presence.record ?? noBridge,
    };
  }

  private run(key: string, operation: Parameters<typeof runOperation>[2]): Promise<OperationResult<Uint8Array>> {
    this.assertOpen();
    return runOperation(this.runner, keyFromText(key), operation);
  }

  private assertOpen(): void {
    invariant(!this.isClosed, 'a client was used after it was closed');
  }
}

async function* nothing(): AsyncGenerator<never, void, undefined> {}

const encoder = new TextEncoder();

function putOf(value: ClientValue, { ttlMs }: PutOptions = {}): Extract<Write<Uint8Array>, { kind: 'put' }> {
  const bytes = typeof value === 'string' ? encoder.encode(value) : value;
  return { kind: 'put', value: bytes, ttlMs: ttlMs ?? null };
}

function tokenOf(token: Token | null): Token {
  invariant(token !== null, 'a put was answered without a version');
  return token;
}

/** A key that is no text cannot be named to this client, so it is not listed either. */
function listedOf(record: AnyRecord, isOfSource: boolean): readonly ListedRecord[] {
  const key = keyToText(record.key);
  if (key === null) return [];
  const isCopy = 'copiedFrom' in record && record.copiedFrom !== null;
  const token: TokenRecord<Uint8Array>['token'] =
    'copiedFrom' in record && !isOfSource
      ? { store: isCopy ? 'source' : 'target', version: record.copiedFrom ?? record.version }
      : { store: 'source', version: record.version };
  return [{ key, value: record.value, token }];
}
