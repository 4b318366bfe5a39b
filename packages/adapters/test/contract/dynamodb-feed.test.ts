/**
 * Goal: the stream of a table is a feed like any other; its head is behind what was acknowledged, and what it cannot tell is
 * said before anything is written. Method: the contract suite on DynamoDB Local, on a table of strings and on one of binaries;
 * then what only a table does: items that are records no longer, marks, a stream that is off, of another type, or late.
 */
import type { StreamViewType } from '@aws-sdk/client-dynamodb';
import {
  keyFromText,
  prefixRange,
  type ChangeFeed,
  type FeedNotice,
  type MigrationId,
  type Position,
} from '@keyferry/core';
import { feedContract, seedOf, type SeedRecord } from '@keyferry/core/testing';
import { serverOrSkip, startFaultyDynamoDb, type FaultyDynamoDb } from '@keyferry/servers';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Mapping } from '../../src/dynamodb/index.ts';
import { tombstoneOf } from '../../src/dynamodb/mapping.ts';
import { useDynamoDb } from './dynamodb-fixture.ts';
import { openStoreFixture, plainTable, setStream, sortedTable, storeHarness } from './dynamodb-store-fixture.ts';
import { briefly, changesSince, firstStep, readTo } from './read-feed.ts';
import { noticesOf } from './stream-notices.ts';

const available = await serverOrSkip('dynamodb-local');

describe.skipIf(!available.ok)(`the stream of a table on DynamoDB Local${available.note}`, () => {
  const bench = useDynamoDb();
  const followed = (mapping: Mapping) => {
    const harness = storeHarness(bench, { ...mapping, ttl: null });
    return {
      ...harness,
      open: async (records: readonly SeedRecord[]) => {
        const fixture = await harness.open(records);
        const { table } = fixture;
        await setStream(bench(), table, 'NEW_IMAGE');
        const loseHistory = async () => {
          await setStream(bench(), table, null);
          await setStream(bench(), table, 'NEW_IMAGE');
        };
        return { ...fixture, loseHistory };
      },
    };
  };
  feedContract('a table with a partition key', followed(plainTable));
  feedContract('a table with a sort key', followed(sortedTable));

  const { key, open: openFollowed } = followed(plainTable);
  const range = prefixRange(key(''));
  const everything = prefixRange(keyFromText(''));
  const seed = (name: string) => seedOf({ key }, name);

  it('tells an item that is a record no longer as deleted, and nothing of what never was one', async () => {
    const fixture = await openFollowed(['a', 'b'].map(seed));
    const { feed } = fixture.store;
    const from = await feed.head();
    await fixture.putItem({ id: { S: 'contract/a' }, value: { N: '1' } });
    await fixture.putItem({ id: { S: 'contract/b' }, _keyferry: { S: tombstoneOf('another' as MigrationId) } });
    expect(briefly(await changesSince(feed, range, from))).toEqual(['contract/a gone', 'contract/b gone']);
    await fixture.close();
  });

  it('leaves items of its own behind only until it ends, and goes on from a position all the same', async () => {
    const fixture = await openFollowed([]);
    const { feed } = fixture.store;
    const from = await feed.head();
    await feed.head();
    const own = async () => (await fixture.scan()).map(({ id }) => id?.S);
    expect(await own()).toEqual(['_keyferry/feed/head/0']);
    await feed.end?.();
    await feed.end?.();
    expect(await own()).toEqual([]);
    await fixture.change([{ put: seed('a') }]);
    const other = await fixture.openAnother();
    expect(briefly(await changesSince(other.feed, everything, from))).toEqual(['contract/a = a']);
    await fixture.close();
  });

  it('wakes a reader that waits', async () => {
    const fixture = await openFollowed([]);
    const { feed } = fixture.store;
    const reader = await feed.open(range, await feed.head());
    const reading = reader.read({ changesMax: 10, waitMs: 60_000 });
    await fixture.change([{ put: seed('a') }]);
    expect(await reading).toMatchObject({ changes: [{ kind: 'put', key: 'contract/a' }] });
    await reader.close();
    await fixture.close();
  });

  it.each<{ type: StreamViewType | null; says: RegExp; command: RegExp }>([
    { type: null, says: /has no stream/, command: /update-table .* StreamEnabled=true,StreamViewType=NEW_IMAGE$/ },
    { type: 'KEYS_ONLY', says: /of type KEYS_ONLY/, command: /StreamEnabled=false .*StreamEnabled=true/ },
  ])('says what to do about a stream of type $type, and changes nothing about it', async ({ type, says, command }) => {
    const fixture = await openStoreFixture(bench(), { ...plainTable, ttl: null });
    if (type !== null) await setStream(bench(), fixture.table, type);
    const { feed } = fixture.store;
    expect((await feed.foresee?.())?.lacks).toMatch(says);
    await expect(feed.head()).rejects.toMatchObject({
      code: 'store.stream-unusable',
      details: { detail: expect.stringMatching(says), command: expect.stringMatching(command) },
    });
    await fixture.close();
  });

  it('ends with that when the stream is turned off under a reader, which is not told of silence', async () => {
    const fixture = await openFollowed([]);
    const { feed } = fixture.store;
    const reader = await feed.open(range, await feed.head());
    await reader.read({ changesMax: 10, waitMs: 0 });
    await setStream(bench(), fixture.table, null);
    const readOn = async () => {
      for (;;) await reader.read({ changesMax: 10, waitMs: 1000 });
    };
    await expect(readOn()).rejects.toMatchObject({ code: 'store.stream-unusable' });
    await fixture.close();
  });

  it('cannot follow records that end by the clock, and takes a place in a shard that is gone for lost', async () => {
    const fixture = await openStoreFixture(bench(), plainTable);
    await setStream(bench(), fixture.table, 'NEW_AND_OLD_IMAGES');
    const { feed } = fixture.store;
    expect((await feed.foresee?.())?.lacks).toMatch(/ttl: endsAt/);
    const head = await feed.head();
    const elsewhere = head.replace(/-[0-9a-f]{8}:/, '-00000000:') as Position;
    expect(await firstStep(feed, range, elsewhere)).toMatchObject({
      kind: 'lost',
      why: expect.stringMatching(/is gone/),
    });
    await fixture.close();
  });

  it.each([
    { name: 'strings', mapping: plainTable },
    { name: 'binaries and a sort key', mapping: sortedTable },
  ])('knows of what its stream told others what was read, and what is its own: $name', async ({ mapping }) => {
    const { key: keyOf, open } = followed(mapping);
    const fixture = await open([]);
    const { feed } = fixture.store;
    const unread = (position: Position | null, notices: readonly FeedNotice[]) => feed.unread?.(position, notices);
    const before = await feed.head();
    await fixture.change([{ put: seedOf({ key: keyOf }, 'a') }]);
    const between = await feed.head();
    await fixture.change([{ put: seedOf({ key: keyOf }, 'b') }]);
    const after = await feed.head();
    const told = await noticesOf(bench(), fixture.table);
    // Three heads marked it, around two records; whoever has read nothing has not read those two.
    expect(told).toHaveLength(5);
    const records = (await unread(null, told)) ?? [];
    expect(records).toHaveLength(2);
    const [, second] = records;
    expect(await unread(before, told)).toEqual(records);
    expect(await unread(between, told)).toEqual([second]);
    expect(await unread(after, told)).toEqual([]);
    expect(await unread(after, told.toReversed())).toEqual([]);
    // Of another table nothing is to be carried; of a stream that was made anew nothing was read.
    const of = (log: (arn: string) => string) => told.map((each) => ({ ...each, log: log(each.log) }));
    expect(
      await unread(
        before,
        of((arn) => arn.replace(/table\/[^/]+/, 'table/another')),
      ),
    ).toEqual([]);
    expect(
      await unread(
        after,
        of((arn) => arn.replace(/[^/]+$/, '2000-01-01T00:00:00.000')),
      ),
    ).toHaveLength(2);
    await fixture.close();
  });

  describe('behind a proxy that does what the emulator never does', () => {
    let proxy: FaultyDynamoDb;
    let fixture: Awaited<ReturnType<typeof openFollowed>>;
    let feed: ChangeFeed;
    let from: Position;
    beforeEach(async () => {
      proxy = await startFaultyDynamoDb(bench().endpoint);
      fixture = await openFollowed([]);
      ({ feed } = await fixture.openAnother({ endpoint: proxy.endpoint }));
      from = await fixture.store.feed.head();
    });
    afterEach(async () => {
      expect(proxy.unspent(), 'faults that did not come to pass').toBe(0);
      await fixture.close();
      await proxy.close();
    });

    const toldUntil = async (head: Position) => {
      const reader = await fixture.store.feed.open(range, from);
      return briefly(await readTo(fixture.store.feed, reader, head));
    };

    it('has its head behind what was acknowledged, although the stream is late', async () => {
      const late: unknown[] = [];
      const withhold = (answer: Record<string, unknown>) => {
        late.push(...(answer['Records'] as unknown[]));
        return { ...answer, Records: [] };
      };
      const tell = (answer: Record<string, unknown>) => ({
        ...answer,
        Records: [...late, ...(answer['Records'] as unknown[])],
      });
      proxy.plant('GetRecords', { kind: 'edit-answer', edit: withhold }, 2);
      proxy.plant('GetRecords', { kind: 'edit-answer', edit: tell });
      await fixture.change([{ put: seed('a') }]);
      const head = await feed.head();
      expect(late).toHaveLength(1);
      expect(await toldUntil(head)).toEqual(['contract/a = a']);
    });

    it('waits for the shard that follows one that ended, and marks it', async () => {
      const ended = 'shardId-00000000000000000001-00000000';
      const parent = {
        ShardId: ended,
        SequenceNumberRange: { StartingSequenceNumber: '1', EndingSequenceNumber: '1' },
      };
      const shardsAre = (shards: (real: object) => readonly object[]) => (answer: Record<string, unknown>) => {
        const description = answer['StreamDescription'] as { readonly Shards: readonly object[] };
        return { StreamDescription: { ...description, Shards: shards(description.Shards[0] ?? {}) } };
      };
      proxy.plant('DescribeStream', { kind: 'edit-answer', edit: shardsAre(() => [parent]) });
      const both = shardsAre((real) => [parent, { ...real, ParentShardId: ended }]);
      proxy.plant('DescribeStream', { kind: 'edit-answer', edit: both }, 2);
      await fixture.change([{ put: seed('a') }]);
      const head = await feed.head();
      expect(head).not.toContain(ended);
      expect(await toldUntil(head)).toEqual(['contract/a = a']);
    });

    it('is lost where records were trimmed, and only then', async () => {
      await fixture.change([{ put: seed('a') }]);
      proxy.plant('GetShardIterator', { kind: 'refuse', error: 'TrimmedDataAccessException' });
      expect(await firstStep(feed, range, from)).toMatchObject({
        kind: 'lost',
        why: expect.stringMatching(/no longer/),
      });
      proxy.plant('GetRecords', { kind: 'refuse', error: 'ExpiredIteratorException' });
      proxy.plant('DescribeStream', { kind: 'refuse', error: 'LimitExceededException' });
      await expect(firstStep(feed, range, from)).rejects.toMatchObject({ code: 'store.throttled', retry: 'backoff' });
      expect(await firstStep(feed, range, from)).toMatchObject({ changes: [{ kind: 'put', key: 'contract/a' }] });
    });
  });
});
