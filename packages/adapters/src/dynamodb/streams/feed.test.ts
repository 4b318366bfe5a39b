/**
 * Goal: a read that failed has moved nothing: the next one tells all that it would have told. Method: a stream of more shards than are
 * read at once, played by hand, because no server throttles the second half of a round when it is asked to.
 */
import { keyFromText, KeyferryError, type KeyRange, type Position } from '@keyferry/core';
import { describe, expect, it } from 'vitest';
import { Lanes } from '../../lanes.ts';
import type { Connection } from '../connection.ts';
import { Items } from '../items.ts';
import type { Mapping } from '../mapping.ts';
import { DynamoDbFeed } from './feed.ts';
import type { RecordsPage, StreamApi, StreamRecord } from './stream-api.ts';

const label = '2026-11-28T10:22:00.633';
const mapping: Mapping = {
  hash: { name: 'id', type: 'string' },
  sort: null,
  separator: '/',
  value: { from: 'attribute', name: 'value', type: 'binary' },
  ttl: null,
  leaveOut: new Set(),
};
const everything: KeyRange = { start: keyFromText(''), end: null };
const ids = Array.from({ length: 20 }, (_, i) => `shard-${String(i).padStart(2, '0')}`);

/** Shards that hold what they are given; an iterator is the number of records before it. */
class PlayedStream {
  readonly store = 'source';
  readonly table = 't';
  readonly held = new Map<string, StreamRecord[]>();
  readonly throttled = new Set<string>();
  iteratorsAsked = 0;

  write(shard: string, key: string): void {
    const records = this.held.get(shard) ?? [];
    const keys = { id: { S: key } };
    const image = { ...keys, value: { B: Buffer.from(key) } };
    this.held.set(shard, [...records, { keys, image, sequence: String(records.length + 1) }]);
  }

  async stream() {
    return { arn: 'arn', label };
  }

  async shards() {
    return ids.map((id) => ({ id, parent: null, isClosed: false }));
  }

  async iterator(_stream: unknown, shard: string, at: string) {
    this.iteratorsAsked += 1;
    return { iterator: `${shard}/${at === 'begin' ? 0 : at}` };
  }

  async records(iterator: string): Promise<RecordsPage> {
    const [shard = '', from] = iterator.split('/');
    if (this.throttled.has(shard)) throw new KeyferryError('store.throttled', { store: 'source', detail: 'too fast' });
    const all = this.held.get(shard) ?? [];
    return { records: all.slice(Number(from)), next: `${shard}/${all.length}` };
  }
}

describe('a read of a stream', () => {
  it('that fails in a later group of shards tells all of it when it is made again', async () => {
    const stream = new PlayedStream();
    const api = stream as Partial<StreamApi> as StreamApi;
    const items = new Items(mapping, keyFromText('_keyferry/'));
    const connection = {} as Connection; // heads alone write
    const feed = new DynamoDbFeed({ api, items, connection, lanes: new Lanes(8) });
    const begin = [label, ...ids.map((id) => `${id}:0`)].join(',') as Position;
    const open = await feed.open(everything, begin);
    const keysOfRead = async () => {
      const step = await open.read({ changesMax: 1000, waitMs: 0 });
      const changes = step.kind === 'changes' ? step.changes : [];
      return changes.map((change) => ('key' in change ? change.key : ''));
    };
    for (const id of ids.slice(0, 18)) stream.write(id, `of ${id}`);
    const failing = ids[17] ?? '';
    stream.throttled.add(failing);
    await expect(keysOfRead()).rejects.toMatchObject({ code: 'store.throttled' });
    stream.throttled.clear();
    expect((await keysOfRead()).toSorted()).toEqual(ids.slice(0, 18).map((id) => `of ${id}`));
    const asked = stream.iteratorsAsked;
    expect(await keysOfRead()).toEqual([]);
    expect(stream.iteratorsAsked).toBe(asked);
  });
});
