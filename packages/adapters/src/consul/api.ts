/**
 * The requests that this adapter makes, each with the checks that its answer must pass before anything is believed.
 *
 * Reads of keys are always consistent ones: the leader proves to a quorum that it still is one before it answers. An
 * answer of the KV store without the index and the word that a leader is known, or an empty one, is refused: half of a
 * proxy's page must never look like an empty store.
 */
import { KeyferryError, keyFromText, type Key, type Position } from '@keyferry/core';
import type { HttpAnswer } from '../http/answer.ts';
import type { HttpClient, HttpRequest } from '../http/client.ts';
import { encodePath } from '../http/key-path.ts';
import { asTransaction, checkEntries, EntryStream, parseJson, type Framing } from './entries.ts';
import { entryOf, type ConsulEntry } from './entry.ts';
import { operationFailure, readFailure, unexpected } from './errors.ts';
import { KeyListReader } from './key-list.ts';
import { bodyOf, namesOf, Operations, type Operation } from './operations.ts';

export interface ConsulTenancy {
  /** Of the Enterprise edition. */
  readonly namespace?: string | undefined;
  readonly partition?: string | undefined;
  readonly datacenter?: string | undefined;
}

export interface ApiOptions extends ConsulTenancy {
  readonly store: string;
  readonly client: HttpClient;
  readonly token: string | undefined;
  readonly requestTimeoutMs: number;
}

export type Transaction =
  | { readonly kind: 'done'; readonly entries: readonly ConsulEntry[] }
  /** Nothing was done: the conditions of these operations, by their places, did not hold. */
  | { readonly kind: 'refused'; readonly failed: ReadonlySet<number> };

export interface EntrySink {
  take(entry: ConsulEntry): void;
  /** An entry whose key is not UTF-8, as far as it can be shown. */
  notText(name: string): void;
}

/** An answer of a transaction holds what it read: 64 values. */
const transactionBytesMax = 128 * 1024 * 1024;
const smallBytesMax = 16 * 1024 * 1024;
/** The server sends the head of a listing only once all of it is encoded. */
const listingPatience = 10;

export class ConsulApi {
  readonly operations: Operations;
  readonly store: string;
  readonly hasToken: boolean;
  private readonly client: HttpClient;
  private readonly headers: Readonly<Record<string, string>>;
  private readonly scope: string;
  private readonly partition: string | undefined;
  private readonly requestTimeoutMs: number;
  private tenancyProven: Promise<void> | null = null;

  constructor({ store, client, token, requestTimeoutMs, namespace, partition, datacenter }: ApiOptions) {
    this.store = store;
    this.client = client;
    this.hasToken = token !== undefined;
    this.headers = token === undefined ? {} : { 'x-consul-token': token };
    this.partition = partition;
    this.requestTimeoutMs = requestTimeoutMs;
    const query = { dc: datacenter, ns: namespace, partition };
    this.scope = Object.entries(query)
      .filter(([, value]) => value !== undefined)
      .map(([name, value]) => `&${name}=${encodeURIComponent(value ?? '')}`)
      .join('');
    const members = { Namespace: namespace, Partition: partition };
    const tenancy = Object.entries(members).filter(([, value]) => value !== undefined);
    this.operations = new Operations(tenancy.map(([name, value]) => `,"${name}":${JSON.stringify(value)}`).join(''));
  }

  /**
   * The index of the last write of any key, anywhere in the store: what the server says of a key that is not there. The
   * index of a listing is no position: it goes back once the server has forgotten the deletes below a prefix.
   * @param near a prefix that the token may read
   */
  async readPosition(near: Key): Promise<Position> {
    await this.proveTenancy();
    for (let tries = 0; ; tries += 1) {
      const key = `${near}keyferry-never-there${tries === 0 ? '' : `-${tries}`}` as Key;
      const position = await this.client.read(this.get(key, ''), async (answer) => {
        const index = await this.indexOf(answer);
        answer.discard();
        return answer.status === 404 ? index : null;
      });
      if (position !== null) return position as Position;
    }
  }

  /**
   * All entries whose keys begin with a prefix, in one state of the store. `use` calls `feed` once, which hands them
   * over as they come; `use` may be called again, with another endpoint's answer, when it fails.
   */
  async readTree<T>(prefix: Key, use: (feed: (sink: EntrySink) => Promise<void>) => Promise<T>): Promise<T> {
    return await this.list(prefix, 'recurse', (answer) =>
      use(async (sink) => {
        const count = await this.feedEntries(answer, sink);
        if (count === 0 && answer.status === 200) throw unexpected(this.store, answer, 'it is a list without an entry');
      }),
    );
  }

  /**
   * All entries below several prefixes, in one state of the store, prefix after prefix and each in the order of its keys;
   * handed over as by `readTree`. What the token may not read is left out without a word.
   */
  async readTrees<T>(
    prefixes: readonly Key[],
    use: (feed: (sink: EntrySink) => Promise<unknown>) => Promise<T>,
  ): Promise<T> {
    await this.proveTenancy();
    const operations = prefixes.map((prefix) => this.operations.getTree(prefix));
    const timeouts = { headersMs: this.requestTimeoutMs * listingPatience };
    const request = { ...this.transactionRequest('?consistent', operations), timeouts };
    return await this.client.read(request, async (answer) => {
      if (answer.status !== 200) {
        await this.transactionOf(answer, true, operations);
        throw unexpected(this.store, answer, 'a transaction without conditions was refused');
      }
      if (answer.header('x-consul-knownleader') !== 'true') {
        answer.discard();
        const detail = `${answer.doing}: it knows no leader`;
        throw new KeyferryError('store.no-leader', { store: this.store, detail });
      }
      return await use((sink) => this.feedEntries(answer, sink, asTransaction));
    });
  }

  /** Counts the keys that begin with a prefix and that `isCounted` takes, up to `max`. */
  async countKeys(prefix: Key, isCounted: (key: Key) => boolean, max: number): Promise<number> {
    return await this.list(prefix, 'keys', async (answer) => {
      let [listed, counted] = [0, 0];
      const names = new KeyListReader(
        (name) => {
          listed += 1;
          if (counted < max && isCounted(keyFromText(name))) counted += 1;
        },
        (detail) => unexpected(this.store, answer, detail),
      );
      await this.drain(
        answer,
        (piece) => names.write(piece),
        () => names.end(),
      );
      // An empty store has an empty list; below any prefix, nothing is 404 (agent/kvs_endpoint.go, KVSGetKeys).
      const mayBeEmpty = answer.status === 404 || prefix === '';
      if (listed === 0 && !mayBeEmpty) throw unexpected(this.store, answer, 'it is a list without a key');
      return counted;
    });
  }

  /** The index of a prefix, as `readPrefix` tells it. */
  async readPrefixIndex(prefix: Key, above: number | null, waitMs: number): Promise<number> {
    return (await this.readPrefix(prefix, above, waitMs)).index;
  }

  /**
   * The index of a prefix: it moves when a key below it does, and may go back once the server has forgotten deletes. Of one
   * below which nothing lies it is that of the whole store. With `above` the answer waits until it is another one, or for
   * about `waitMs`.
   */
  async readPrefix(
    prefix: Key,
    above: number | null,
    waitMs: number,
  ): Promise<{ readonly index: number; readonly isEmpty: boolean }> {
    await this.proveTenancy();
    const wait = above === null ? '' : `&index=${above}&wait=${Math.ceil(waitMs)}ms`;
    // The server adds up to a sixteenth (agent/consul/rpc.go, jitterFraction).
    const timeouts = { headersMs: this.requestTimeoutMs * listingPatience + (above === null ? 0 : waitMs * 1.1) };
    const request = { ...this.get(prefix, `&keys&separator=/${wait}`), timeouts };
    return await this.client.read(request, async (answer) => {
      const index = Number(await this.indexOf(answer));
      answer.discard();
      return { index, isEmpty: answer.status === 404 };
    });
  }

  /** A transaction that only reads: tried at each endpoint. */
  async readTransaction(operations: readonly Operation[]): Promise<Transaction> {
    await this.proveTenancy();
    const request = this.transactionRequest('?consistent', operations);
    return await this.client.read(request, (answer) => this.transactionOf(answer, true, operations));
  }

  /** A transaction that writes: sent once. Whether one without an answer has happened is for the caller to find out. */
  async writeTransaction(operations: readonly Operation[]): Promise<Transaction> {
    await this.proveTenancy();
    const request = this.transactionRequest('?', operations);
    return await this.client.write(request, (answer) => this.transactionOf(answer, false, operations));
  }

  /** Any other request; the body of an answer that is 200, parsed. Null: it is 404. */
  async readJson(path: string, request: Omit<HttpRequest, 'path'> = {}): Promise<unknown> {
    const use = async (answer: HttpAnswer): Promise<unknown> => {
      if (answer.status === 404) {
        answer.discard();
        return null;
      }
      if (answer.status !== 200) throw await readFailure(this.store, answer);
      const body = await answer.read(smallBytesMax);
      return parseJson(body?.toString('utf8') ?? '', (detail) => unexpected(this.store, answer, detail));
    };
    const full = { path: this.scoped(path), ...request, headers: this.headers };
    return await (request.method === undefined ? this.client.read(full, use) : this.client.write(full, use));
  }

  /** A server without them says so to whoever asks for the own token. */
  async readAclsAreOn(): Promise<boolean> {
    const request = { path: '/v1/acl/token/self', headers: this.headers };
    return await this.client.read(request, async (answer) => {
      if (answer.status !== 200 && answer.status !== 401 && answer.status !== 403) {
        throw await readFailure(this.store, answer);
      }
      const body = (await answer.read(smallBytesMax))?.toString('utf8') ?? '';
      if (answer.status === 401 && /ACL support disabled/i.test(body)) return false;
      // The token that nobody has to send, or the word that it was taken away.
      if (answer.status === 200 ? body.includes('"AccessorID"') : /ACL|permission/i.test(body)) return true;
      throw unexpected(this.store, answer, `status ${answer.status} is not what Consul says of a token`);
    });
  }

  /**
   * Takes a key as a lock for a session, or gives it up, and writes a value with it.
   * @returns false where it is another's, or, to give it up, was not this session's
   */
  async lockKey(how: 'acquire' | 'release', key: Key, session: string, value: Uint8Array): Promise<boolean> {
    await this.proveTenancy();
    const path = `/v1/kv/${encodePath(key)}?${how}=${encodeURIComponent(session)}`;
    return (await this.readJson(path, { method: 'PUT', body: value })) === true;
  }

  private get(key: Key, query: string): HttpRequest {
    return { path: this.scoped(`/v1/kv/${encodePath(key)}?consistent${query}`), headers: this.headers };
  }

  private scoped(path: string): string {
    if (this.scope === '') return path;
    return path.includes('?') ? `${path}${this.scope}` : `${path}?${this.scope.slice(1)}`;
  }

  private transactionRequest(query: string, operations: readonly Operation[]): HttpRequest {
    const path = this.scoped(`/v1/txn${query}`).replace('?&', '?').replace(/\?$/, '');
    const headers = { ...this.headers, 'content-type': 'application/json' };
    return { method: 'PUT', path, headers, body: bodyOf(operations) };
  }

  private async list<T>(prefix: Key, how: 'recurse' | 'keys', use: (answer: HttpAnswer) => Promise<T>): Promise<T> {
    await this.proveTenancy();
    const timeouts = { headersMs: this.requestTimeoutMs * listingPatience };
    return await this.client.read({ ...this.get(prefix, `&${how}`), timeouts }, async (answer) => {
      await this.indexOf(answer);
      return await use(answer);
    });
  }

  /** @returns how many there were */
  private async feedEntries(answer: HttpAnswer, sink: EntrySink, framing?: Framing): Promise<number> {
    let count = 0;
    const entries = new EntryStream(
      (wire) => {
        count += 1;
        const entry = entryOf(wire);
        if (entry === null) sink.notText(wire.Key.toWellFormed());
        else sink.take(entry);
      },
      (detail) => unexpected(this.store, answer, detail),
      framing,
    );
    await this.drain(
      answer,
      (piece) => entries.write(piece),
      () => entries.end(),
    );
    return count;
  }

  private async drain(answer: HttpAnswer, write: (piece: Uint8Array) => void, end: () => void): Promise<void> {
    if (answer.status === 404) return answer.discard();
    for await (const piece of answer.pieces()) write(piece);
    end();
  }

  /** What every answer of the KV store itself says, found or not found. */
  private async indexOf(answer: HttpAnswer): Promise<string> {
    if (answer.status !== 200 && answer.status !== 404) throw await readFailure(this.store, answer);
    const index = answer.header('x-consul-index');
    const leader = answer.header('x-consul-knownleader');
    if (index === null || !/^\d{1,15}$/.test(index) || leader === null) {
      answer.discard();
      throw unexpected(this.store, answer, `status ${answer.status} without X-Consul-Index, so not from Consul itself`);
    }
    if (leader !== 'true') {
      answer.discard();
      const detail = `${answer.doing}: the agent knows no leader`;
      throw new KeyferryError('store.no-leader', { store: this.store, detail });
    }
    // From 1.11 on; before, what the token may not read is left out in silence.
    if (answer.header('x-consul-results-filtered-by-acls') === 'true') {
      answer.discard();
      const detail = `${answer.doing}: the token may not read all of it, and what it may not was left out`;
      throw new KeyferryError('store.permission-denied', { store: this.store, detail });
    }
    return index;
  }

  private async transactionOf(
    answer: HttpAnswer,
    isRead: boolean,
    operations: readonly Operation[],
  ): Promise<Transaction> {
    if (answer.status !== 200 && answer.status !== 409) throw await readFailure(this.store, answer);
    const broken = (detail: string) => unexpected(this.store, answer, detail);
    const body = await answer.read(transactionBytesMax);
    const json = parseJson(body?.toString('utf8') ?? '', broken);
    if (typeof json !== 'object' || json === null || !('Results' in json) || !('Errors' in json)) {
      throw broken('it is not the answer of a transaction');
    }
    const { Results, Errors } = json;
    // First: what is not permitted comes with no word of a leader from 1.15 on.
    const failed = answer.status === 409 ? this.failedOf(Errors, operations, broken) : null;
    if (isRead && 'KnownLeader' in json && json.KnownLeader !== true) {
      throw new KeyferryError('store.no-leader', { store: this.store, detail: `${answer.doing}: it knows no leader` });
    }
    if (failed !== null) return { kind: 'refused', failed };
    if (Errors !== null && !(Array.isArray(Errors) && Errors.length === 0)) throw broken('it is 200 with errors');
    const results: readonly unknown[] = Array.isArray(Results) ? Results : [];
    const kvs = results.map((each) => (typeof each === 'object' && each !== null && 'KV' in each ? each.KV : null));
    const entries = checkEntries(kvs, broken).map(entryOf);
    return { kind: 'done', entries: entries.filter((entry) => entry !== null) };
  }

  private failedOf(
    errors: unknown,
    operations: readonly Operation[],
    broken: (detail: string) => Error,
  ): ReadonlySet<number> {
    if (!Array.isArray(errors) || errors.length === 0) throw broken('it is a conflict that names no operation');
    const failed = new Set<number>();
    for (const each of errors as readonly unknown[]) {
      const { OpIndex, What } = (each ?? {}) as Readonly<Record<string, unknown>>;
      if (typeof OpIndex !== 'number' || typeof What !== 'string') throw broken('an error in it has no place');
      const operation = operations[OpIndex];
      const failure = operationFailure(this.store, What, operation === undefined ? null : namesOf(operation));
      if (failure !== null) throw failure;
      failed.add(OpIndex);
    }
    return failed;
  }

  /**
   * Once: a server that has no partitions takes no notice of one, and would read and write the default one. Namespaces
   * it refuses itself, though not in transactions [measured, 1.8.7], so that one read comes before the first of them.
   */
  private proveTenancy(): Promise<void> {
    if (this.scope === '') return Promise.resolve();
    this.tenancyProven ??= this.checkTenancy().catch((error: unknown) => {
      this.tenancyProven = null;
      throw error;
    });
    return this.tenancyProven;
  }

  private async checkTenancy(): Promise<void> {
    if (this.partition !== undefined) {
      const self = (await this.readJson('/v1/agent/self')) as { Config?: { Version?: string } } | null;
      const version = self?.Config?.Version ?? 'unknown';
      const [, major = '0', minor = '0'] = /^(\d+)\.(\d+)/.exec(version) ?? [];
      if (!version.includes('+ent') || Number(major) * 1000 + Number(minor) < 1011) {
        const detail = `it is version ${version}, and partitions are in Consul Enterprise from 1.11 on`;
        throw new KeyferryError('store.unsupported', { store: this.store, detail });
      }
    }
    await this.client.read(this.get('keyferry-never-there' as Key, ''), async (answer) => {
      // Not permitted is an answer here: the server has understood the question.
      if (answer.status === 403) return answer.discard();
      await this.indexOf(answer);
      answer.discard();
    });
  }
}
