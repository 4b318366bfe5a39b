/**
 * The requests that this adapter makes, each with the checks that its answer must pass before anything is believed.
 *
 * Reads of keys always go through raft (`quorum=true`): a member alone may be behind, and one cut off from the others
 * answers from its past without saying so. Only the comparison of members asks for exactly that.
 */
import { KeyferryError, type Key, type Position } from '@keyferry/core';
import type { HttpAnswer } from '../http/answer.ts';
import type { HttpClient, HttpRequest } from '../http/client.ts';
import { encodePath } from '../http/key-path.ts';
import type { Directory } from './directory.ts';
import { readRefusal, unexpected, type Refusal } from './errors.ts';

const smallBytesMax = 16 * 1024 * 1024;

/** The server sends the head of a recursive answer only once all of it is encoded. */
const wholeTreePatience = 10;

export interface ListedMember {
  /** Lower-case hex without padding. */
  readonly id: string;
  readonly name: string;
  readonly clientUrls: readonly string[];
}

export interface ClusterMembers {
  readonly members: readonly ListedMember[];
  /** Lower-case hex without padding. */
  readonly clusterId: string;
}

export class EtcdV2Api {
  private readonly store: string;
  private readonly client: HttpClient;
  private readonly requestTimeoutMs: number;

  constructor(store: string, client: HttpClient, requestTimeoutMs: number) {
    this.store = store;
    this.client = client;
    this.requestTimeoutMs = requestTimeoutMs;
  }

  /**
   * All below a directory, in one state: `use` gets its position, and the answer with the tree yet to be read, or
   * null when there is no such directory. It may be called again, with another endpoint's answer, when it fails.
   */
  async readTree<T>(
    directory: Directory,
    use: (position: Position, answer: HttpAnswer | null) => Promise<T>,
  ): Promise<T> {
    const path = `${keysPath(directory)}?recursive=true&sorted=true&quorum=true`;
    const timeouts = { headersMs: this.requestTimeoutMs * wholeTreePatience };
    return await this.client.read({ path, timeouts }, async (answer) => {
      if (answer.status !== 200) return await use(await this.positionOfMissing(answer), null);
      this.header(answer, 'x-raft-term'); // absent from what only looks like etcd
      return await use(this.position(answer), answer);
    });
  }

  /** The last parts of the keys of all that lies directly in a directory; none if it is not there. */
  async readNames(directory: Key): Promise<ReadonlySet<string>> {
    return await this.client.read({ path: `${keysPath(directory)}?quorum=true` }, async (answer) => {
      if (answer.status !== 200) {
        await this.positionOfMissing(answer);
        return new Set<string>();
      }
      const { json } = await this.json(answer);
      const nodes = fields(fields(json)['node'])['nodes'];
      const keys = (Array.isArray(nodes) ? nodes : []).map((node: unknown) => fields(node)['key']);
      return new Set(keys.map((key) => String(key).slice(String(key).lastIndexOf('/') + 1)));
    });
  }

  /** All that one member lists, as it holds it itself; `use` reads it to its end. */
  async readOwnTree(
    endpoint: string,
    use: (pieces: AsyncIterable<Uint8Array>) => Promise<void>,
  ): Promise<OwnRaft & { readonly position: Position }> {
    const path = '/v2/keys/?recursive=true&sorted=true';
    const timeouts = { headersMs: this.requestTimeoutMs * wholeTreePatience };
    const answer = await this.client.send(endpoint, { path, timeouts });
    if (answer.status !== 200) throw this.failure(answer, await readRefusal(this.store, answer));
    const raftIndex = BigInt(this.header(answer, 'x-raft-index'));
    const raftTerm = BigInt(this.header(answer, 'x-raft-term'));
    const position = this.position(answer);
    await use(answer.pieces());
    return { raftIndex, raftTerm, position };
  }

  /** Index of the store now. The directory need not exist. */
  async readPosition(directory: Directory): Promise<Position> {
    return await this.client.read({ path: `${keysPath(directory)}?quorum=true` }, async (answer) => {
      if (answer.status !== 200) return await this.positionOfMissing(answer);
      const position = this.position(answer);
      answer.discard();
      return position;
    });
  }

  /** Whether the user may read a key or directory; existence does not matter. */
  async mayRead(path: string): Promise<boolean> {
    return await this.client.read({ path: `/v2/keys${path}` }, async (answer) => {
      if (answer.status !== 200) return (await readRefusal(this.store, answer)).kind === 'key-not-found';
      answer.discard();
      return true;
    });
  }

  /** Raft index and term of one member as it knows them itself; null when the user may not read there. */
  async readOwnRaft(endpoint: string, directory: Directory, authenticated: boolean): Promise<OwnRaft | null> {
    const answer = await this.client.send(endpoint, { path: keysPath(directory), authenticated });
    if (answer.status === 200) {
      const raftIndex = BigInt(this.header(answer, 'x-raft-index'));
      const raftTerm = BigInt(this.header(answer, 'x-raft-term'));
      answer.discard();
      return { raftIndex, raftTerm };
    }
    const refusal = await readRefusal(this.store, answer);
    // Error answers carry no raft headers.
    if (refusal.kind === 'key-not-found' || refusal.error.code === 'store.auth-failed') return null;
    throw refusal.error;
  }

  /** The same two numbers from the server's published variables, for users who may not read the directory. */
  async readRaftStatus(endpoint: string): Promise<OwnRaft> {
    const request = { path: '/debug/vars', authenticated: false };
    const { json, answer } = await this.json(await this.client.send(endpoint, request));
    const { commit, term } = fields(fields(json)['raft.status']);
    if (typeof commit !== 'number' || typeof term !== 'number') throw unexpected(this.store, answer, 'no raft.status');
    return { raftIndex: BigInt(commit), raftTerm: BigInt(term) };
  }

  async readVersion(): Promise<string> {
    return await this.readJson({ path: '/version' }, (json, answer) => {
      const { etcdserver } = fields(json);
      if (typeof etcdserver !== 'string') throw unexpected(this.store, answer, 'it is not the version of an etcd');
      return etcdserver;
    });
  }

  async readMembers(): Promise<ClusterMembers> {
    return await this.readJson({ path: '/v2/members' }, (json, answer) => {
      const { members } = fields(json);
      if (!Array.isArray(members) || members.length === 0) throw unexpected(this.store, answer, 'it lists no members');
      const listed = members.map((each: unknown) => {
        const { id, name, clientURLs } = fields(each);
        if (typeof id !== 'string') throw unexpected(this.store, answer, 'a member has no id');
        const urls: unknown[] = Array.isArray(clientURLs) ? clientURLs : []; // null until a member has started once
        const clientUrls = urls.filter((url) => typeof url === 'string');
        return { id: this.hexId(id, answer), name: typeof name === 'string' ? name : '', clientUrls };
      });
      return { members: listed, clusterId: this.hexId(this.header(answer, 'x-etcd-cluster-id'), answer) };
    });
  }

  /** Id of the member that answers at this very address. Needs no user, so none is sent. */
  async readOwnId(endpoint: string): Promise<string> {
    const answered = await this.client.send(endpoint, { path: '/v2/stats/self', authenticated: false });
    const { json, answer } = await this.json(answered);
    const { id } = fields(json);
    if (typeof id !== 'string') throw unexpected(this.store, answer, 'it does not say which member it is');
    return this.hexId(id, answer);
  }

  private async readJson<T>(request: HttpRequest, use: (json: unknown, answer: HttpAnswer) => T): Promise<T> {
    return await this.client.read(request, async (received) => {
      const { json, answer } = await this.json(received);
      return use(json, answer);
    });
  }

  private async json(answer: HttpAnswer): Promise<{ readonly json: unknown; readonly answer: HttpAnswer }> {
    if (answer.status !== 200) throw this.failure(answer, await readRefusal(this.store, answer));
    const body = await answer.read(smallBytesMax);
    try {
      return { json: JSON.parse(body?.toString('utf8') ?? ''), answer };
    } catch (error) {
      throw new KeyferryError(
        'store.answer-unexpected',
        { store: this.store, detail: `${answer.doing}: it is not JSON` },
        { cause: error },
      );
    }
  }

  private async positionOfMissing(answer: HttpAnswer): Promise<Position> {
    const refusal = await readRefusal(this.store, answer);
    if (refusal.kind === 'key-not-found') return this.position(answer);
    throw refusal.error;
  }

  private failure(answer: HttpAnswer, refusal: Refusal): KeyferryError {
    return refusal.kind === 'failed' ? refusal.error : unexpected(this.store, answer, 'it has no such page');
  }

  private position(answer: HttpAnswer): Position {
    return this.header(answer, 'x-etcd-index') as Position;
  }

  /** A number or id that etcd itself always sends along; without it something else has answered. */
  private header(answer: HttpAnswer, name: string): string {
    const value = answer.header(name);
    if (value === null || !/^[0-9a-f]+$/i.test(value) || (name !== 'x-etcd-cluster-id' && !/^\d+$/.test(value))) {
      answer.discard();
      throw unexpected(this.store, answer, `status ${answer.status} without ${name}, so not from etcd itself`);
    }
    return value;
  }

  private hexId(text: string, answer: HttpAnswer): string {
    if (!/^[0-9a-f]{1,16}$/i.test(text)) throw unexpected(this.store, answer, 'an id is not a number in hex');
    return BigInt(`0x${text}`).toString(16);
  }
}

export interface OwnRaft {
  readonly raftIndex: bigint;
  readonly raftTerm: bigint;
}

function keysPath(directory: Directory): string {
  return `/v2/keys${encodePath(directory)}/`;
}

function fields(json: unknown): Readonly<Record<string, unknown>> {
  return typeof json === 'object' && json !== null ? (json as Readonly<Record<string, unknown>>) : {};
}
