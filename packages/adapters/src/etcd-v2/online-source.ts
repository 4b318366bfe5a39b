/**
 * etcd v2 as the source of an online migration: what an application's instance asks of it, one request each.
 *
 * Every answer tells what was there before (`prevNode`), so an unconditional write needs no read. A condition that did not
 * hold is answered without what is there, so that is read once more. Reads go through raft: a member alone may be behind.
 * Directories are no records: one that stands where a key is asked for is nothing, and a put over it is refused.
 */
import {
  compareKeys,
  keyFromText,
  rangeHolds,
  type Key,
  type KeyRange,
  type OnlineRecord,
  type OnlineSource,
  type OnlineSourceAnswer,
  type OnlineSourceRequest,
  type Position,
  type SourceMoves,
  type SourceRecord,
  type Version,
  type Write,
} from '@keyferry/core';
import type { HttpAnswer } from '../http/answer.ts';
import { HttpClient, type HttpRequest } from '../http/client.ts';
import { encodePath } from '../http/key-path.ts';
import type { HttpClientOptions } from '../http/options.ts';
import { directoryOf } from './directory.ts';
import { errorCodes, readErrorAnswer, unexpected } from './errors.ts';
import { escapeForm } from './form.ts';
import { EtcdV2Moves } from './online-moves.ts';

export interface EtcdV2OnlineOptions extends Omit<HttpClientOptions, 'store' | 'timeouts'> {
  /** The store's name, for errors. */
  readonly name: string;
  /** For one request. Default 5,000: keep it well below the client's `requestLifeMs`. */
  readonly requestTimeoutMs?: number | undefined;
}

/** Connects with the first call. */
export function openEtcdV2OnlineSource(options: EtcdV2OnlineOptions): OnlineSource {
  return new EtcdV2OnlineSource(options);
}

type Found = SourceRecord<Uint8Array>;

interface RawNode {
  readonly key?: unknown;
  readonly value?: unknown;
  readonly dir?: unknown;
  readonly nodes?: unknown;
  readonly modifiedIndex?: unknown;
}

const answerBytesMax = 512 * 1024 * 1024;
const pageKeysMax = 500;
const form = { 'content-type': 'application/x-www-form-urlencoded' };

class EtcdV2OnlineSource implements OnlineSource {
  readonly role = 'source';
  readonly moves: SourceMoves;
  private readonly store: string;
  private readonly client: HttpClient;

  constructor({ name, requestTimeoutMs = 5000, ...connecting }: EtcdV2OnlineOptions) {
    this.store = name;
    this.client = new HttpClient({ ...connecting, store: name, timeouts: { headersMs: requestTimeoutMs } });
    this.moves = new EtcdV2Moves(name, this.client);
  }

  async ask(key: Key, request: OnlineSourceRequest): Promise<OnlineSourceAnswer> {
    if (request.kind === 'read') return { kind: 'read', record: await this.read(key) };
    const { write, expect } = request;
    // 0 is no condition at all, for the server; no record has it.
    if (typeof expect === 'object' && !/^[1-9]\d*$/.test(expect.version)) return this.unmet(key);
    const sent = write.kind === 'put' ? putRequest(key, write, expect) : deleteRequest(key, expect);
    const answer = await this.client.write(sent, (received) => this.written(received, write));
    if (answer !== 'unmet') return answer;
    // A delete of what is not there is done; any other condition that did not hold is told with what is there.
    const isGone = write.kind === 'delete' && expect === 'any';
    return isGone ? { kind: 'written', version: null, previous: null } : this.unmet(key);
  }

  async *list(range: KeyRange): AsyncIterable<readonly OnlineRecord[]> {
    const directory = directoryOf(range);
    if (directory === null) return;
    const path = `/v2/keys${encodePath(directory)}/?recursive=true&quorum=true`;
    const records = await this.client.read({ path }, async (answer): Promise<OnlineRecord[]> => {
      if (answer.status === 200) return this.recordsBelow(await this.node(answer), answer, range);
      await this.assertMissing(answer);
      return [];
    });
    records.sort((a, b) => compareKeys(a.key, b.key));
    for (let at = 0; at < records.length; at += pageKeysMax) yield records.slice(at, at + pageKeysMax);
  }

  /** Both are of one count: X-Etcd-Index is the modifiedIndex of the last change anywhere. */
  cameAfter(version: Version, position: Position): boolean {
    return BigInt(version) > BigInt(position);
  }

  async close(): Promise<void> {
    this.client.close();
  }

  private async read(key: Key): Promise<Found | null> {
    return await this.client.read({ path: `${pathOf(key)}?quorum=true` }, async (answer) => {
      if (answer.status === 200) return this.recordOf(await this.node(answer), answer);
      await this.assertMissing(answer);
      return null;
    });
  }

  private async unmet(key: Key): Promise<OnlineSourceAnswer> {
    return { kind: 'unmet', record: await this.read(key) };
  }

  private async written(answer: HttpAnswer, { kind }: Write<Uint8Array>): Promise<OnlineSourceAnswer | 'unmet'> {
    if (answer.status === 200 || answer.status === 201) {
      const { node, prevNode } = await this.json(answer);
      const index = node?.modifiedIndex;
      if (typeof index !== 'number') throw unexpected(this.store, answer, 'a write without modifiedIndex');
      const previous = prevNode === undefined ? null : this.recordOf(prevNode, answer);
      return { kind: 'written', version: kind === 'put' ? (String(index) as Version) : null, previous };
    }
    const { errorCode, error } = await readErrorAnswer(this.store, answer);
    const isOutcome =
      errorCode === errorCodes.keyNotFound ||
      errorCode === errorCodes.compareFailed ||
      errorCode === errorCodes.keyExists;
    if (isOutcome) return 'unmet';
    throw error;
  }

  /** @throws the failure that the answer is, unless it says that there is no such key */
  private async assertMissing(answer: HttpAnswer): Promise<void> {
    const { errorCode, error } = await readErrorAnswer(this.store, answer);
    if (errorCode !== errorCodes.keyNotFound && errorCode !== errorCodes.notADirectory) throw error;
  }

  private recordsBelow(top: RawNode, answer: HttpAnswer, range: KeyRange): OnlineRecord[] {
    const records: OnlineRecord[] = [];
    const work = [top];
    for (let node = work.pop(); node !== undefined; node = work.pop()) {
      if (Array.isArray(node.nodes)) work.push(...(node.nodes as readonly RawNode[]));
      const found = this.recordOf(node, answer);
      if (found === null) continue;
      const key = keyFromText(String(node.key));
      if (rangeHolds(range, key)) records.push({ key, ...found });
    }
    return records;
  }

  /** Null: a directory. */
  private recordOf({ value, dir, modifiedIndex }: RawNode, answer: HttpAnswer): Found | null {
    if (dir === true || (value === undefined && modifiedIndex === undefined)) return null; // the root has neither
    if (typeof modifiedIndex !== 'number') throw unexpected(this.store, answer, 'it is not a node of etcd v2');
    return {
      value: Buffer.from(typeof value === 'string' ? value : '', 'utf8'),
      version: String(modifiedIndex) as Version,
    };
  }

  private async node(answer: HttpAnswer): Promise<RawNode> {
    const { node } = await this.json(answer);
    if (node === undefined) throw unexpected(this.store, answer, 'it is not a node of etcd v2');
    return node;
  }

  private async json(answer: HttpAnswer): Promise<Partial<Record<'node' | 'prevNode', RawNode>>> {
    const body = await answer.read(answerBytesMax);
    try {
      return JSON.parse(body?.toString('utf8') ?? '') as Partial<Record<'node' | 'prevNode', RawNode>>;
    } catch {
      throw unexpected(this.store, answer, 'it is not JSON');
    }
  }
}

type Put = Extract<Write<Uint8Array>, { kind: 'put' }>;
type Expectation = Extract<OnlineSourceRequest, { kind: 'write' }>['expect'];

function putRequest(key: Key, { value, ttlMs }: Put, expect: Expectation): HttpRequest {
  const condition =
    expect === 'any' ? '' : expect === 'absent' ? '?prevExist=false' : `?prevExist=true&prevIndex=${expect.version}`;
  const ttl = ttlMs === null ? '' : `ttl=${Math.max(1, Math.ceil(ttlMs / 1000))}&`;
  const body = Buffer.concat([Buffer.from(`${ttl}value=`), escapeForm(value)]);
  return { method: 'PUT', path: `${pathOf(key)}${condition}`, headers: form, body };
}

function deleteRequest(key: Key, expect: Expectation): HttpRequest {
  const condition = typeof expect === 'object' ? `?prevIndex=${expect.version}` : '';
  return { method: 'DELETE', path: `${pathOf(key)}${condition}` };
}

const pathOf = (key: Key): string => `/v2/keys${encodePath(key)}`;
