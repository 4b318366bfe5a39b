/**
 * etcd v2 as a source, from a live server over its HTTP API.
 *
 *     openView(range) ──one recursive quorum GET──► tree, as a stream ──► spool on disk ──► any number of scans
 *
 * One GET is one atomic state whose number is X-Etcd-Index, so a view is pinned although v2 has no snapshots and no
 * paging; reading directory by directory would mix states. Nothing of the answer is held in memory, because it may be
 * larger than any JavaScript string. What the API cannot show (hidden keys, bytes that are not UTF-8) is in README.md.
 */
import {
  isKeyferryError,
  KeyferryError,
  keyForDisplay,
  keyFromText,
  prefixRange,
  type ChangeFeed,
  type KeyRange,
  type MemberPosition,
  type Position,
  type SourceStore,
  type StoreDescription,
  type StoreView,
} from '@keyferry/core';
import { HttpClient } from '../http/client.ts';
import type { BasicAuth, TlsOptions } from '../http/options.ts';
import type { RecordSpool } from '../spool/record-spool.ts';
import { openSpooledView } from '../spool/spooled-view.ts';
import { EtcdV2Api } from './api.ts';
import { etcdV2Capabilities } from './capabilities.ts';
import { encodePath } from '../http/key-path.ts';
import { directoryOf, startsAmongHidden, type Directory } from './directory.ts';
import { unexpected } from './errors.ts';
import { EtcdV2Feed } from './feed.ts';
import { readMemberPositions } from './members.ts';
import { keyTwice, spoolTree } from './spool-tree.ts';

export interface EtcdV2Options {
  /** The store's name in the configuration. */
  readonly name: string;
  /** Client URLs of members of one cluster; further ones are for failover and for comparing members. */
  readonly endpoints: readonly string[];
  readonly tls?: TlsOptions | undefined;
  readonly auth?: BasicAuth | undefined;
  /** The clock by which an expiry counts as past; asked once a view. */
  readonly nowMs: () => number;
  /** Until the head of an answer; ten times this for a whole tree. Default 15 000. */
  readonly requestTimeoutMs?: number | undefined;
  /**
   * Where `head()` and `readMembers()` look, for users who may not read the root: the migration's prefix.
   * Default: the directory of the view opened last, else the root.
   */
  readonly prefix?: string | undefined;
}

const root = '' as Directory;

/**
 * @example
 * const source = openEtcdV2Store({ name: 'old', endpoints: ['http://127.0.0.1:2379'], nowMs: () => Date.now() });
 * const view = await source.openView(prefixRange(keyFromText('/config/')));
 * for await (const page of view.scan(prefixRange(keyFromText('/config/')), { pageKeysMax: 1000 })) use(page.records);
 */
export function openEtcdV2Store(options: EtcdV2Options): SourceStore & { readonly feed: ChangeFeed } {
  return new EtcdV2Source(options);
}

class EtcdV2Source implements SourceStore {
  readonly capabilities = etcdV2Capabilities;
  readonly feed: ChangeFeed;
  private readonly options: EtcdV2Options;
  private readonly client: HttpClient;
  private readonly api: EtcdV2Api;
  private readable: Directory;

  constructor(options: EtcdV2Options) {
    const { name, endpoints, tls, auth, requestTimeoutMs = 15_000, prefix } = options;
    this.options = options;
    this.client = new HttpClient({ store: name, endpoints, tls, auth, timeouts: { headersMs: requestTimeoutMs } });
    this.api = new EtcdV2Api(name, this.client, requestTimeoutMs);
    this.feed = new EtcdV2Feed({
      store: name,
      client: this.client,
      head: () => this.head(),
    });
    this.readable = (prefix === undefined ? null : directoryOf(prefixRange(keyFromText(prefix)))) ?? root;
  }

  async describe(): Promise<StoreDescription> {
    const version = await this.api.readVersion();
    const { members, clusterId } = await this.api.readMembers();
    const { endpoints } = this.client;
    return { kind: 'etcd-v2', version, endpoints, members: members.length, identity: clusterId, viewLocks: null };
  }

  /** X-Etcd-Index. Moves with every write anywhere in the store, and with some of the server's own. */
  head(): Promise<Position> {
    const range = prefixRange(`${this.readable}/` as Directory);
    return this.explained(range, this.readable, () => this.api.readPosition(this.readable));
  }

  /** @throws {KeyferryError} `store.unsupported` for a range that begins among hidden names. */
  async openView(range: KeyRange): Promise<StoreView> {
    if (startsAmongHidden(range)) throw this.hidden(range);
    const directory = directoryOf(range);
    if (directory === null) return await openSpooledView(() => this.head());
    const view = await this.explained(range, directory, () => this.readView(range, directory));
    this.readable = directory;
    return view;
  }

  readMembers(): Promise<readonly MemberPosition[] | null> {
    return readMemberPositions(this.options.name, this.api, this.client.endpoints, this.readable);
  }

  close(): Promise<void> {
    this.client.close();
    return Promise.resolve();
  }

  /** A spool belongs to one answer: when the next endpoint has to be asked, it starts with an empty one. */
  private async readView(range: KeyRange, directory: Directory): Promise<StoreView> {
    return await this.api.readTree(directory, async (position, answer) => {
      if (answer === null) return await openSpooledView(() => Promise.resolve(position));
      const nowMs = this.options.nowMs();
      const broken = (detail: string, offset: number): KeyferryError =>
        unexpected(this.options.name, answer, `the answer is not a v2 tree: ${detail} (byte ${offset})`);
      const fill = async (spool: RecordSpool): Promise<Position> => {
        const walker = spoolTree({ spool, range, nowMs, broken });
        for await (const piece of answer.pieces()) walker.write(piece);
        walker.end();
        return position;
      };
      return await openSpooledView(fill, (key, offset) => broken(keyTwice(key), offset));
    });
  }

  private hidden(range: KeyRange): KeyferryError {
    const detail =
      `${keyForDisplay(range.start)} begins among hidden names, which the v2 API lists only when their directory ` +
      'is named itself: end the prefix with a slash, or read the data directory';
    return new KeyferryError('store.unsupported', { store: this.options.name, detail });
  }

  /**
   * etcd v2 answers a wrong password and a missing permission with the same words (401, errorCode 110). If the same
   * user may read anything near, the password is right and it is the permission.
   */
  private async explained<T>(range: KeyRange, directory: Directory, read: () => Promise<T>): Promise<T> {
    try {
      return await read();
    } catch (error) {
      if (!isKeyferryError(error, 'store.auth-failed')) throw error;
      const store = this.options.name;
      const where = keyForDisplay(`${directory}/` as Directory);
      const user = this.options.auth?.user;
      if (user === undefined) {
        const detail = `reading ${where} needs a user, and none is configured`;
        throw new KeyferryError('store.auth-failed', { store, detail }, { cause: error });
      }
      const near = [`${directory}/`, range.start, `${range.start}/`, ...ancestors(directory)];
      for (const path of new Set(near)) {
        if (!path.startsWith('/') || path.includes('//')) continue;
        if (!(await this.api.mayRead(encodePath(path as Directory)))) continue;
        const detail =
          `user ${user} may read ${keyForDisplay(path as Directory)} but not all below ${where}, which has to be ` +
          `read to get every key that starts with ${keyForDisplay(range.start)}`;
        throw new KeyferryError('store.permission-denied', { store, detail }, { cause: error });
      }
      const detail =
        `user ${user}: the password is wrong, or the user may read nothing of ${where} ` +
        '(etcd v2 gives one answer to both)';
      throw new KeyferryError('store.auth-failed', { store, detail }, { cause: error });
    }
  }
}

function ancestors(directory: Directory): string[] {
  const segments = directory.split('/').slice(1, -1);
  return segments.map((_, at) => `/${segments.slice(0, at + 1).join('/')}`);
}
