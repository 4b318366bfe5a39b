/**
 * The conditional writes of the v2 API, one key a request. What a condition says is a value; a failure says nothing about
 * whether the write happened, and every one of these may be repeated to find out.
 *
 * A write is answered with X-Etcd-Index, which is the index that it got [measured, 3.3 to 3.5]; so the server need not
 * send the value back (`noValueOnSuccess`, which older ones pass over).
 */
import { isKeyferryError, KeyferryError, keyForDisplay, type Key } from '@keyferry/core';
import type { HttpAnswer } from '../http/answer.ts';
import type { HttpClient, HttpRequest } from '../http/client.ts';
import { encodePath } from '../http/key-path.ts';
import { escapeForm } from './form.ts';
import { errorCodes, readErrorAnswer, unexpected } from './errors.ts';

/** A node as it is read by its key alone. */
export interface FoundNode {
  /** Null for a directory. */
  readonly value: Uint8Array | null;
  readonly modifiedIndex: number;
  readonly createdIndex: number;
  /** Milliseconds since 1970; null: it stays. */
  readonly expiresAtMs: number | null;
}

export type WriteAnswer =
  | { readonly kind: 'written'; readonly index: number }
  /** Something is there already, or with another index. */
  | { readonly kind: 'other' }
  | { readonly kind: 'missing' }
  /** A directory stands there, or a value above it. */
  | { readonly kind: 'no-place'; readonly detail: string };

export interface NewValue {
  readonly value: Uint8Array;
  readonly ttlSeconds: number | null;
}

const nodeBytesMax = 64 * 1024 * 1024;
const form = { 'content-type': 'application/x-www-form-urlencoded' };

export class EtcdV2WriteApi {
  private readonly store: string;
  private readonly client: HttpClient;
  private readonly user: string | null;

  constructor(store: string, client: HttpClient, user: string | null) {
    this.store = store;
    this.client = client;
    this.user = user;
  }

  /** Writes a key that is not there. */
  create(key: Key, value: NewValue): Promise<WriteAnswer> {
    return this.put(key, 'prevExist=false', value);
  }

  /** Writes over the record with that index. */
  async compareAndSwap(key: Key, index: number, value: NewValue): Promise<WriteAnswer> {
    if (index < 1) return { kind: 'other' }; // 0 is no condition at all, for the server
    return await this.put(key, `prevExist=true&prevIndex=${index}`, value);
  }

  /** Whatever is there, a directory apart. */
  set(key: Key, value: NewValue): Promise<WriteAnswer> {
    return this.put(key, '', value);
  }

  /** Whatever is there, a directory apart. */
  remove(key: Key): Promise<WriteAnswer> {
    return this.write(key, { method: 'DELETE', path: pathOf(key) });
  }

  async compareAndDelete(key: Key, index: number): Promise<WriteAnswer> {
    if (index < 1) return { kind: 'other' }; // as above
    return await this.write(key, { method: 'DELETE', path: `${pathOf(key)}?prevIndex=${index}` });
  }

  /** Only if nothing is in it: else `other`. */
  removeDirectory(key: Key): Promise<WriteAnswer> {
    return this.write(key, { method: 'DELETE', path: `${pathOf(key)}?dir=true` });
  }

  /** With all below it. */
  removeTree(key: Key): Promise<WriteAnswer> {
    return this.write(key, { method: 'DELETE', path: `${pathOf(key)}?recursive=true` });
  }

  /** Null when it is not there. Through raft: an earlier write of anybody is seen. */
  async read(key: Key): Promise<FoundNode | null> {
    return await this.client.read({ path: `${pathOf(key)}?quorum=true` }, async (answer) => {
      if (answer.status === 200) return nodeOf(this.store, answer, await answer.read(nodeBytesMax));
      const { errorCode, error } = await readErrorAnswer(this.store, answer);
      if (errorCode === errorCodes.keyNotFound || errorCode === errorCodes.notADirectory) return null;
      throw error;
    });
  }

  /** The values that lie directly in a directory; none if it is not there. Through raft, in one state. */
  async readDirectory(key: Key): Promise<readonly FoundNode[]> {
    return await this.client.read({ path: `${pathOf(key)}?quorum=true` }, async (answer) => {
      if (answer.status === 200) return childrenOf(this.store, answer, await answer.read(nodeBytesMax));
      const { errorCode, error } = await readErrorAnswer(this.store, answer);
      if (errorCode === errorCodes.keyNotFound) return [];
      throw error;
    });
  }

  private put(key: Key, condition: string, { value, ttlSeconds }: NewValue): Promise<WriteAnswer> {
    const body = Buffer.concat([
      Buffer.from(ttlSeconds === null ? 'value=' : `ttl=${ttlSeconds}&value=`),
      escapeForm(value),
    ]);
    const path = `${pathOf(key)}?${condition}&noValueOnSuccess=true`;
    return this.write(key, { method: 'PUT', path, headers: form, body });
  }

  private async write(key: Key, request: HttpRequest): Promise<WriteAnswer> {
    try {
      return await this.client.write(request, (answer) => this.answered(answer));
    } catch (error) {
      throw isKeyferryError(error, 'store.auth-failed') ? await this.explained(key, error) : error;
    }
  }

  private async answered(answer: HttpAnswer): Promise<WriteAnswer> {
    if (answer.status === 200 || answer.status === 201) {
      const index = answer.header('x-etcd-index') ?? '';
      await answer.read(nodeBytesMax); // to its end, so that the connection serves the next request
      if (!/^\d{1,15}$/.test(index)) throw unexpected(this.store, answer, 'a write without x-etcd-index');
      return { kind: 'written', index: Number(index) };
    }
    const { errorCode, error } = await readErrorAnswer(this.store, answer);
    switch (errorCode) {
      case errorCodes.keyExists:
      case errorCodes.compareFailed:
      case errorCodes.directoryNotEmpty:
        return { kind: 'other' };
      case errorCodes.keyNotFound:
        return { kind: 'missing' };
      case errorCodes.notAFile:
        return { kind: 'no-place', detail: 'there is a directory of that name' };
      case errorCodes.notADirectory:
        return { kind: 'no-place', detail: 'a key above it holds a value' };
      default:
        throw error;
    }
  }

  /** One answer stands for a wrong password and for a right that is missing: whoever may read there has the password. */
  private async explained(key: Key, error: KeyferryError): Promise<unknown> {
    if (this.user === null) return error;
    const mayRead = await this.read(key).then(
      () => true,
      () => false, // then it is the password, or the right to all of it: the first error says so
    );
    if (!mayRead) return error;
    const detail = `user ${this.user} may read ${keyForDisplay(key)} and may not write it`;
    return new KeyferryError('store.permission-denied', { store: this.store, detail }, { cause: error });
  }
}

function pathOf(key: Key): string {
  return `/v2/keys${encodePath(key)}`;
}

function nodeOf(store: string, answer: HttpAnswer, body: Buffer | null): FoundNode {
  return foundNode(store, answer, rawNode(store, answer, body));
}

function childrenOf(store: string, answer: HttpAnswer, body: Buffer | null): readonly FoundNode[] {
  const { nodes } = rawNode(store, answer, body);
  const children = Array.isArray(nodes) ? (nodes as readonly RawNode[]) : []; // left out where there are none
  return children.map((child) => foundNode(store, answer, child)).filter(({ value }) => value !== null);
}

type RawNode = Readonly<Record<string, unknown>>;

function rawNode(store: string, answer: HttpAnswer, body: Buffer | null): RawNode {
  try {
    return (JSON.parse(body?.toString('utf8') ?? '') as { readonly node?: RawNode }).node ?? {};
  } catch {
    throw broken(store, answer);
  }
}

function foundNode(store: string, answer: HttpAnswer, node: RawNode): FoundNode {
  const { value, dir, modifiedIndex, createdIndex, expiration } = node;
  const isDirectory = dir === true;
  if (typeof modifiedIndex !== 'number' || typeof createdIndex !== 'number') throw broken(store, answer);
  if (!isDirectory && typeof value !== 'string') throw broken(store, answer);
  return {
    value: isDirectory ? null : Buffer.from(value as string, 'utf8'),
    modifiedIndex,
    createdIndex,
    expiresAtMs: typeof expiration === 'string' ? Date.parse(expiration) : null,
  };
}

function broken(store: string, answer: HttpAnswer): KeyferryError {
  return unexpected(store, answer, 'it is not a node of etcd v2');
}
