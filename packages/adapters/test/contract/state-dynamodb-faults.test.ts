/**
 * Goal: whatever a busy service or a bad network does, a write has happened once, or not at all, or is told as unknown in
 * a way that the engine can settle; what is read is whole; nothing is left behind for good.
 * Method: DynamoDB Local behind a proxy that does what the emulator never does. Where an answer is lost, the engine's own
 * rule is applied: the call is repeated, and a conflict whose current item equals the one written means that it won.
 */
import { serverOrSkip, startFaultyDynamoDb, type DynamoDbFault, type FaultyDynamoDb } from '@keyferry/servers';
import type { StateStore, StateVersion } from '@keyferry/core';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openDynamoDbState } from '../../src/state/dynamodb/index.ts';
import { largeBody } from './dynamodb-bodies.ts';
import { useDynamoDb } from './dynamodb-fixture.ts';

const available = await serverOrSkip('dynamodb-local');
const event = (message: string) => ({ atMs: 1, run: 'r', type: 't', message });
const large = (name: string) => largeBody(name) as never;

describe.skipIf(!available.ok)(`state in DynamoDB behind a faulty proxy${available.note}`, () => {
  const bench = useDynamoDb();
  let proxy: FaultyDynamoDb;
  let state: StateStore;
  /** Beside the proxy. */
  let direct: StateStore;
  let table: string;

  beforeEach(async () => {
    const options = await bench().newTable();
    table = options.table;
    proxy = await startFaultyDynamoDb(options.endpoint);
    direct = await openDynamoDbState(options);
    state = await openDynamoDbState({ ...options, endpoint: proxy.endpoint, requestTimeoutMs: 5000 });
    // The first write of a process says which format the table is of.
    await state.write('event', 'other', 'first', event('first'), 'absent');
  });
  afterEach(async () => {
    expect(proxy.unspent(), 'faults that did not come to pass').toBe(0);
    await Promise.all([state.close(), direct.close()]);
    await proxy.close();
  });

  const created = async (id = 'e', message = 'v1'): Promise<StateVersion> => {
    const outcome = await direct.write('event', 'm', id, event(message), 'absent');
    return (outcome as { readonly version: StateVersion }).version;
  };
  const leftovers = async () =>
    (await bench().scan(table)).map(({ pk }) => pk?.S ?? '').filter((pk) => /^(ledger|part#)/.test(pk));

  describe('a request that is refused for now', () => {
    it.each<[error: string, status: number, code: string]>([
      ['ProvisionedThroughputExceededException', 400, 'state.throttled'],
      ['ThrottlingException', 400, 'state.throttled'],
      ['RequestLimitExceeded', 400, 'state.throttled'],
      ['TransactionConflictException', 400, 'state.busy'],
      ['InternalServerError', 500, 'state.unreachable'],
      ['ServiceUnavailable', 503, 'state.unreachable'],
    ])('by %s is told as such, once, and changes nothing', async (error, status, code) => {
      const version = await created();
      const refusals: readonly [operation: string, call: () => Promise<unknown>][] = [
        ['GetItem', () => state.read('event', 'm', 'e')],
        ['PutItem', () => state.write('event', 'm', 'e', event('v2'), version)],
        ['DeleteItem', () => state.remove('event', 'm', 'e', version)],
        ['Query', () => state.list('plan', 'm', { after: null, itemsMax: 10 })],
      ];
      for (const [operation, call] of refusals) {
        const before = proxy.counts.get(operation) ?? 0;
        proxy.plant(operation, { kind: 'refuse', error, status });
        await expect(call()).rejects.toMatchObject({ code, retry: 'backoff' });
        // Retries are the engine's: the SDK adds none.
        expect((proxy.counts.get(operation) ?? 0) - before).toBe(1);
      }
      expect(await direct.read('event', 'm', 'e')).toEqual({ id: 'e', item: event('v1'), version });
    });

    it('for want of permission is not repeated', async () => {
      proxy.plant('PutItem', { kind: 'refuse', error: 'AccessDeniedException' });
      await expect(state.write('event', 'm', 'e', event('x'), 'absent')).rejects.toMatchObject({
        code: 'state.denied',
        retry: 'never',
      });
    });

    it('that hangs ends with the time that one request may take', async () => {
      proxy.plant('GetItem', { kind: 'hang' });
      await expect(state.read('event', 'm', 'e')).rejects.toMatchObject({
        code: 'state.unreachable',
        retry: 'backoff',
      });
    });
  });

  describe('an answer that is lost after the write was done', () => {
    it('is told as unknown, and a repeat finds its own item in the way', async () => {
      proxy.plant('PutItem', { kind: 'drop-answer' });
      const write = () => state.write('event', 'm', 'e', event('mine'), 'absent');
      await expect(write()).rejects.toMatchObject({ code: 'state.unreachable', retry: 'backoff' });
      expect(await write()).toMatchObject({ kind: 'conflict', current: { item: event('mine') } });
    });

    it('of a removal leaves nothing in the way', async () => {
      const version = await created();
      proxy.plant('DeleteItem', { kind: 'drop-answer' });
      const remove = () => state.remove('event', 'm', 'e', version);
      await expect(remove()).rejects.toMatchObject({ code: 'state.unreachable' });
      expect(await remove()).toEqual({ kind: 'conflict', current: null });
    });

    it('of a large body leaves that body whole, and a repeat finds it', async () => {
      const write = () => state.write('plan', 'm', 'p', large('mine'), 'absent');
      proxy.plant('TransactWriteItems', { kind: 'drop-answer' });
      await expect(write()).rejects.toMatchObject({ code: 'state.unreachable' });
      expect((await direct.read('plan', 'm', 'p'))?.item).toEqual(large('mine'));
      expect(await write()).toMatchObject({ kind: 'conflict', current: { item: large('mine') } });
      // The repeat's parts are gone, those of the first are all there.
      expect(await leftovers()).toHaveLength(3);
    });
  });

  describe('a request that was delivered twice', () => {
    it('is known by its version, and has won', async () => {
      const version = await created();
      proxy.plant('PutItem', { kind: 'deliver-twice' }, 2);
      const fresh = await state.write('event', 'm', 'new', event('mine'), 'absent');
      expect(fresh).toMatchObject({ kind: 'written' });
      const second = await state.write('event', 'm', 'e', event('v2'), version);
      expect(second).toMatchObject({ kind: 'written' });
      const entry = await direct.read('event', 'm', 'e');
      expect([entry?.item, entry?.version]).toEqual([event('v2'), (second as { version: string }).version]);
    });

    it('with a large body is known by its version too, and keeps its parts', async () => {
      proxy.plant('TransactWriteItems', { kind: 'deliver-twice' });
      expect(await state.write('plan', 'm', 'p', large('mine'), 'absent')).toMatchObject({ kind: 'written' });
      expect((await direct.read('plan', 'm', 'p'))?.item).toEqual(large('mine'));
    });
  });

  describe('somebody who is quicker, while the request is on its way', () => {
    it('wins, and is told in the same answer', async () => {
      const version = await created();
      const act = async () => void (await direct.write('event', 'm', 'e', event('theirs'), version));
      proxy.plant('PutItem', { kind: 'before', act });
      const reads = proxy.counts.get('GetItem') ?? 0;
      const outcome = await state.write('event', 'm', 'e', event('mine'), version);
      expect(outcome).toEqual({ kind: 'conflict', current: await direct.read('event', 'm', 'e') });
      expect(proxy.counts.get('GetItem') ?? 0).toBe(reads);
    });

    it('wins against a large body, whose parts are taken away', async () => {
      const act = async () => void (await direct.write('plan', 'm', 'p', event('theirs') as never, 'absent'));
      proxy.plant('TransactWriteItems', { kind: 'before', act });
      const outcome = await state.write('plan', 'm', 'p', large('mine'), 'absent');
      expect(outcome).toMatchObject({ kind: 'conflict', current: { item: event('theirs') } });
      expect(await leftovers()).toEqual([]);
    });

    it('replaces a large body between a reader’s head and parts: the reader gets the new one whole', async () => {
      const first = await direct.write('plan', 'm', 'p', large('one'), 'absent');
      const { version } = first as { readonly version: StateVersion };
      const act = async () => void (await direct.write('plan', 'm', 'p', large('two'), version));
      proxy.plant('BatchGetItem', { kind: 'before', act });
      expect((await state.read('plan', 'm', 'p'))?.item).toEqual(large('two'));
    });

    it('takes a large body away between a list’s query and its parts: the list is without it', async () => {
      const first = await direct.write('plan', 'm', 'p', large('one'), 'absent');
      await direct.write('plan', 'm', 'q', event('stays') as never, 'absent');
      const { version } = first as { readonly version: StateVersion };
      proxy.plant('BatchGetItem', {
        kind: 'before',
        act: async () => void (await direct.remove('plan', 'm', 'p', version)),
      });
      const page = await state.list('plan', 'm', { after: null, itemsMax: 10 });
      expect(page.entries.map(({ id }) => id)).toEqual(['q']);
    });

    it('takes a writer for dead that was only slow: it writes nothing, and may begin again', async () => {
      const act = async () => {
        const { atMs } = (await bench().scan(table)).find(({ pk }) => pk?.S === 'ledger') ?? {};
        const nowMs = () => Number(atMs?.N) + 48 * 60 * 60 * 1000;
        const sweeper = await openDynamoDbState({ ...(await optionsOf()), nowMs });
        await sweeper.write('plan', 'm', 'other', large('sweeps'), 'absent');
        await sweeper.close();
      };
      const optionsOf = async () => ({ table, region: 'eu-west-1', endpoint: bench().endpoint });
      proxy.plant('TransactWriteItems', { kind: 'before', act });
      const write = () => state.write('plan', 'm', 'p', large('slow'), 'absent');
      await expect(write()).rejects.toMatchObject({ code: 'state.busy', retry: 'backoff' });
      expect(await direct.read('plan', 'm', 'p')).toBeNull();
      expect(await write()).toMatchObject({ kind: 'written' });
      expect((await direct.read('plan', 'm', 'p'))?.item).toEqual(large('slow'));
      expect((await direct.read('plan', 'm', 'other'))?.item).toEqual(large('sweeps'));
    });
  });

  describe('a batch of which only some is done', () => {
    it('is sent again until all of it is', async () => {
      const some: DynamoDbFault = { kind: 'process-only', items: 1 };
      proxy.plant('BatchWriteItem', some, 2);
      expect(await state.write('plan', 'm', 'p', large('one'), 'absent')).toMatchObject({ kind: 'written' });
      proxy.plant('BatchGetItem', some, 2);
      expect((await state.read('plan', 'm', 'p'))?.item).toEqual(large('one'));
    });

    it('and then nothing more, is throttled, and leaves nothing that a reader sees', async () => {
      proxy.plant('BatchWriteItem', { kind: 'process-only', items: 1 });
      proxy.plant('BatchWriteItem', { kind: 'process-only', items: 0 });
      const write = () => state.write('plan', 'm', 'p', large('one'), 'absent');
      await expect(write()).rejects.toMatchObject({ code: 'state.throttled', retry: 'backoff' });
      expect(await direct.read('plan', 'm', 'p')).toBeNull();
      expect(await leftovers()).toEqual([]);
      expect(await write()).toMatchObject({ kind: 'written' });
      proxy.plant('BatchGetItem', { kind: 'process-only', items: 0 });
      await expect(state.read('plan', 'm', 'p')).rejects.toMatchObject({ code: 'state.throttled' });
    });
  });

  describe('clearing away that fails', () => {
    it('fails no write, and is made up for by a later process', async () => {
      const first = await state.write('plan', 'm', 'p', large('one'), 'absent');
      const { version } = first as { readonly version: StateVersion };
      // The set that is replaced is deleted by a batch; that one fails.
      proxy.plant('BatchWriteItem', { kind: 'refuse', error: 'ThrottlingException' });
      const outcome = await state.write('plan', 'm', 'p', event('small') as never, version);
      expect(outcome).toMatchObject({ kind: 'written' });
      expect(await leftovers()).toHaveLength(4);
      await direct.write('plan', 'm', 'q', large('two'), 'absent');
      expect(await leftovers()).toHaveLength(3);
      expect((await direct.read('plan', 'm', 'q'))?.item).toEqual(large('two'));
    });
  });

  describe('a list', () => {
    const ids = Array.from({ length: 40 }, (_, i) => `c${String(i).padStart(3, '0')}`);

    it.each([1, 2, 3])('is whole and in order by pages that end after %i items', async (items) => {
      for (const id of ids) await direct.write('chunk', 'm/1', id, event(id) as never, 'absent');
      const before = proxy.counts.get('Query') ?? 0;
      const needed = 4 + Math.floor(ids.length / items);
      proxy.plant('Query', { kind: 'page', items }, needed);
      const page = await state.list('chunk', 'm/1', { after: null, itemsMax: 100 });
      expect(page.entries.map(({ id }) => id)).toEqual(ids);
      expect(page.next).toBeNull();
      const asked = (proxy.counts.get('Query') ?? 0) - before;
      expect(asked).toBeGreaterThan(4);
      // What was planted beyond the need is spent on another list.
      while (proxy.unspent() > 0) await state.list('chunk', 'none', { after: null, itemsMax: 1 });
    });

    it('that is throttled on the way ends where it came to, and goes on from there', async () => {
      for (const id of ids) await direct.write('plan', 'm', id, event(id) as never, 'absent');
      proxy.plant('Query', { kind: 'page', items: 10 }, 2);
      proxy.plant('Query', { kind: 'refuse', error: 'ThrottlingException' });
      const first = await state.list('plan', 'm', { after: null, itemsMax: 100 });
      const rest = await state.list('plan', 'm', { after: first.next, itemsMax: 100 });
      expect([first.entries.length, rest.next]).toEqual([19, null]);
      expect([...first.entries, ...rest.entries].map(({ id }) => id)).toEqual(ids);
      proxy.plant('Query', { kind: 'refuse', error: 'ThrottlingException' });
      await expect(state.list('plan', 'm', { after: null, itemsMax: 100 })).rejects.toMatchObject({
        code: 'state.throttled',
      });
    });
  });
});
