/**
 * Goal: a table keeps every promise of the port, among connections of one process and among processes, for items of any
 * size and ids of any length.
 * Method: the contract suite on DynamoDB Local; child processes that race for the same items; tables that are not as they
 * should be. What only a faulty network or a busy service does is in state-dynamodb-faults.test.ts.
 */
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { CreateTableCommand, DescribeTimeToLiveCommand, PutItemCommand } from '@aws-sdk/client-dynamodb';
import { serverOrSkip } from '@keyferry/servers';
import { stateContract } from '@keyferry/core/testing';
import type { StateStore, StateVersion } from '@keyferry/core';
import { describe, expect, it } from 'vitest';
import { createStateTable, openDynamoDbState } from '../../src/state/dynamodb/index.ts';
import { format } from '../../src/state/dynamodb/keys.ts';
import { largeBody, namesIn } from './dynamodb-bodies.ts';
import { region, useDynamoDb } from './dynamodb-fixture.ts';

const available = await serverOrSkip('dynamodb-local');
const event = (message: string, atMs = 1) => ({ atMs, run: 'r', type: 't', message });

describe.skipIf(!available.ok)(`state in DynamoDB${available.note}`, () => {
  const bench = useDynamoDb();
  const openNew = async (options: { readonly eventsKeptMs?: number; readonly nowMs?: () => number } = {}) => {
    const table = await bench().newTable();
    return { table, state: await openDynamoDbState({ ...table, ...options }) };
  };

  stateContract('a DynamoDB table', {
    open: async () => {
      const table = await bench().newTable();
      const stores: StateStore[] = [];
      const openAnother = async () => {
        const state = await openDynamoDbState(table);
        stores.push(state);
        return state;
      };
      return {
        store: await openAnother(),
        openAnother,
        close: async () => {
          for (const store of stores) await store.close();
        },
      };
    },
  });

  describe('processes that share a table', () => {
    const run = promisify(execFile);
    const racer = join(import.meta.dirname, 'state-dynamodb.racer.ts');

    it('have one winner for each item, lose no change, and never read a mix of two versions', async () => {
      const { table, endpoint } = await bench().newTable();
      const [names, rounds] = [['a', 'b', 'c', 'd'], 12];
      const env = { ...process.env, ...bench().credentials };
      const outputs = await Promise.all(
        names.map((name) =>
          run(process.execPath, ['--conditions=keyferry-source', racer, endpoint, table, name, String(rounds)], {
            env,
            maxBuffer: 1e8,
          }),
        ),
      );
      const results = outputs.map(
        ({ stdout }) => JSON.parse(stdout) as { name: string; won: number[]; read: string[] },
      );
      const wins = results.flatMap(({ won }) => won).toSorted((a, b) => a - b);
      expect(wins).toEqual(Array.from({ length: rounds }, (_, round) => round));
      const state = await openDynamoDbState({ table, endpoint, region });
      for (const { name, won } of results) {
        for (const round of won) {
          expect((await state.read('event', 'race', `round-${round}`))?.item.message).toBe(name);
        }
      }
      expect((await state.read('event', 'race', 'counter'))?.item.atMs).toBe(names.length * rounds);
      // Each read in a race was whole, as the last one is: gzip's checksum would have refused a mix.
      expect(results.flatMap(({ read }) => read).length).toBeGreaterThanOrEqual(names.length * (rounds - 1));
      const last = (await state.read('plan', 'race', 'large'))?.item as unknown as { text: string };
      expect(namesIn(last).size).toBe(1);
      // Losers and those who were replaced have left nothing behind.
      const items = await bench().scan(table);
      expect(items.filter(({ pk }) => pk?.S === 'ledger')).toEqual([]);
      expect(items.filter(({ pk }) => pk?.S?.startsWith('part#'))).toHaveLength(3);
      await state.close();
    });
  });

  describe('an item that is too large for DynamoDB', () => {
    const write = (state: StateStore, name: string, expected: StateVersion | 'absent') =>
      state.write('plan', 'm', 'p', largeBody(name) as never, expected);

    it('comes back whole, read or listed, and its parts go with it', async () => {
      const { table, state } = await openNew();
      const created = await write(state, 'one', 'absent');
      expect(created.kind).toBe('written');
      const entry = await state.read('plan', 'm', 'p');
      expect(entry?.item).toEqual(largeBody('one'));
      expect(await state.list('plan', 'm', { after: null, itemsMax: 5 })).toEqual({ entries: [entry], next: null });
      const another = await write(state, 'two', 'absent');
      expect(another).toEqual({ kind: 'conflict', current: entry });
      expect((await state.remove('plan', 'm', 'p', entry?.version as StateVersion)).kind).toBe('written');
      expect(await state.read('plan', 'm', 'p')).toBeNull();
      expect((await bench().scan(table.table)).map(({ pk }) => pk?.S)).toEqual(['table']);
      await state.close();
    });

    it('may become a small one and large again', async () => {
      const { table, state } = await openNew();
      const first = (await write(state, 'one', 'absent')) as { version: StateVersion };
      const small = (await state.write('plan', 'm', 'p', { text: 's' } as never, first.version)) as typeof first;
      expect((await state.read('plan', 'm', 'p'))?.item).toEqual({ text: 's' });
      expect((await bench().scan(table.table)).filter(({ pk }) => pk?.S?.startsWith('part#'))).toEqual([]);
      await write(state, 'three', small.version);
      expect((await state.read('plan', 'm', 'p'))?.item).toEqual(largeBody('three'));
      await state.close();
    });

    it('does not fill the memory of whoever lists many of them', async () => {
      const { state } = await openNew();
      const text = largeBody('x').text.repeat(9); // 20 MB in all, as the list counts them
      for (const id of ['a', 'b', 'c', 'd'])
        await state.write('plan', 'm', id, { text: `${id}${text}` } as never, 'absent');
      const first = await state.list('plan', 'm', { after: null, itemsMax: 100 });
      expect(first.entries.map(({ id }) => id)).toEqual(['a', 'b', 'c']);
      expect(first.next).toBe('c');
      const rest = await state.list('plan', 'm', { after: first.next, itemsMax: 100 });
      expect(rest.entries.map(({ id }) => id)).toEqual(['d']);
      await state.close();
    }, 240_000);

    it('whose writer died leaves parts that a later writer takes away, once they are a day old', async () => {
      let now = Date.UTC(2026, 0, 1);
      const { table, state } = await openNew({ nowMs: () => now });
      const stranger = '1.AAAAAAAAAAAAAAAA.2';
      const put = (Item: Record<string, object>) =>
        bench().client.send(new PutItemCommand({ TableName: table.table, Item: Item as never }));
      await put({ pk: { S: 'ledger' }, sk: { S: `#${stranger}` }, state: { S: 'writing' }, atMs: { N: String(now) } });
      await put({ pk: { S: `part#${stranger}#0` }, sk: { S: '#' }, bytes: { B: new Uint8Array(9) } });
      const leftovers = async () =>
        (await bench().scan(table.table)).filter(({ pk, sk }) => `${pk?.S}${sk?.S}`.includes(stranger)).length;

      await write(state, 'one', 'absent');
      expect(await leftovers()).toBe(2);
      now += 25 * 60 * 60 * 1000;
      const later = await openDynamoDbState({ ...table, nowMs: () => now });
      await later.write('plan', 'm', 'q', largeBody('two') as never, 'absent');
      expect(await leftovers()).toBe(0);
      await Promise.all([state.close(), later.close()]);
    });
  });

  describe('ids', () => {
    it('longer than a sort key keep their order among each other and among short ones', async () => {
      const { state } = await openNew();
      const long = 'k'.repeat(899);
      const ids = [
        '',
        'k',
        long,
        `${long}a`,
        `${long}ab`,
        `${long}abc`,
        `${long}é`,
        `${long}éa`,
        `${long}日x`,
        `${long}😀`,
      ];
      const more = Array.from({ length: 30 }, (_, i) => `${long}zz${String(i * 7919).padStart(7, '0')}`).toSorted();
      const all = [...ids, ...more, `${long}${'z'.repeat(3000)}`, 'l'];
      for (const id of all.toReversed())
        await state.write('dead-letter', 'm', id, event(id.slice(-5)) as never, 'absent');
      const inOrder = all.toSorted((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
      for (const itemsMax of [1, 3, 100]) {
        const seen: string[] = [];
        let after: string | null = null;
        do {
          const page: Awaited<ReturnType<StateStore['list']>> = await state.list('dead-letter', 'm', {
            after,
            itemsMax,
          });
          seen.push(...page.entries.map(({ id }) => id));
          after = page.next;
        } while (after !== null);
        expect(seen).toEqual(inOrder);
      }
      for (const id of all) expect((await state.read('dead-letter', 'm', id))?.id).toBe(id);
      await state.close();
    });

    it('are spread over partitions, and a list passes the end of a page of 1 MB', async () => {
      const { table, state } = await openNew();
      const text = 'x'.repeat(7900);
      const ids = Array.from({ length: 300 }, (_, i) => `c${String(i).padStart(5, '0')}`);
      await Promise.all(ids.map((id) => state.write('chunk', 'm/1', id, { text } as never, 'absent')));
      await Promise.all(ids.map((id) => state.write('plan', 'm', id, { text } as never, 'absent')));
      const chunks = await state.list('chunk', 'm/1', { after: null, itemsMax: 1000 });
      expect(chunks.entries.map(({ id }) => id)).toEqual(ids);
      const plans = await state.list('plan', 'm', { after: null, itemsMax: 1000 });
      expect(plans.entries.map(({ id }) => id)).toEqual(ids);
      const partitions = Map.groupBy(await bench().scan(table.table), ({ pk }) => pk?.S ?? '');
      const sizes = [...partitions].filter(([pk]) => pk.startsWith('item#chunk#')).map(([, items]) => items.length);
      expect(sizes).toHaveLength(4);
      expect(Math.max(...sizes)).toBeLessThan(120);
      await state.close();
    });
  });

  describe('a table', () => {
    it('is made once, on demand, with expiry, and making it again changes nothing', async () => {
      const options = { table: 'made', region, endpoint: bench().endpoint };
      expect(await createStateTable(options)).toBe('created');
      const state = await openDynamoDbState(options);
      await state.write('event', 'm', 'e', event('kept'), 'absent');
      expect(await createStateTable(options)).toBe('exists');
      expect((await state.read('event', 'm', 'e'))?.item).toEqual(event('kept'));
      const expiry = await bench().client.send(new DescribeTimeToLiveCommand({ TableName: 'made' }));
      expect(expiry.TimeToLiveDescription).toMatchObject({ AttributeName: 'expiresAt', TimeToLiveStatus: 'ENABLED' });
      await state.close();
    });

    it('that is not there is named, with the command that makes it', async () => {
      const options = { table: 'nowhere', region, endpoint: bench().endpoint };
      await expect(openDynamoDbState(options)).rejects.toMatchObject({
        code: 'state.table-missing',
        retry: 'never',
        details: { where: 'DynamoDB table nowhere in eu-west-1' },
        remedy: expect.stringContaining('keyferry state create-table') as string,
      });
    });

    it('with other keys cannot be used, nor made ours', async () => {
      const create = new CreateTableCommand({
        TableName: 'theirs',
        BillingMode: 'PAY_PER_REQUEST',
        AttributeDefinitions: [{ AttributeName: 'id', AttributeType: 'S' }],
        KeySchema: [{ AttributeName: 'id', KeyType: 'HASH' }],
      });
      await bench().client.send(create);
      const options = { table: 'theirs', region, endpoint: bench().endpoint };
      await expect(openDynamoDbState(options)).rejects.toMatchObject({ code: 'state.unusable', retry: 'never' });
      await expect(createStateTable(options)).rejects.toMatchObject({
        code: 'state.unusable',
        details: { detail: 'its keys are id S, and pk S and sk S are wanted' },
      });
    });

    it('of a newer format is refused before anything in it is touched', async () => {
      const table = await bench().newTable();
      const Item = { pk: { S: 'table' }, sk: { S: '#format' }, format: { N: '7' } };
      await bench().client.send(new PutItemCommand({ TableName: table.table, Item }));
      await expect(openDynamoDbState(table)).rejects.toMatchObject({
        code: 'state.newer',
        details: { found: '7', known: String(format) },
      });
    });

    it('with an item of a newer format refuses to read or replace it', async () => {
      const { table, state } = await openNew();
      await state.write('lock', 'locks', 'm', event('mine') as never, 'absent');
      const item = (await bench().scan(table.table)).find(({ pk }) => pk?.S === 'item#lock#locks#0');
      await bench().client.send(new PutItemCommand({ TableName: table.table, Item: { ...item, format: { N: '2' } } }));
      const newer = { code: 'state.newer' };
      await expect(state.read('lock', 'locks', 'm')).rejects.toMatchObject(newer);
      await expect(state.list('lock', 'locks', { after: null, itemsMax: 9 })).rejects.toMatchObject(newer);
      await expect(state.write('lock', 'locks', 'm', event('x') as never, 'absent')).rejects.toMatchObject(newer);
      await state.close();
    });

    it('lets events go after the time they are kept, and nothing else', async () => {
      const now = Date.UTC(2026, 0, 1);
      const { table, state } = await openNew({ eventsKeptMs: 86_400_000, nowMs: () => now });
      await state.write('event', 'm', 'e', event('old news'), 'absent');
      await state.write('migration', 'migrations', 'm', event('stays') as never, 'absent');
      const expiring = (await bench().scan(table.table)).filter(({ expiresAt }) => expiresAt !== undefined);
      expect(expiring.map(({ pk, expiresAt }) => [pk?.S?.split('#')[1], expiresAt?.N])).toEqual([
        ['event', String(now / 1000 + 86_400)],
      ]);
      await state.close();
    });

    it('of an endpoint that does not answer is out of reach, and may be asked again', async () => {
      const options = { table: 't', region, endpoint: 'http://127.0.0.1:9' };
      await expect(openDynamoDbState(options)).rejects.toMatchObject({ code: 'state.unreachable', retry: 'backoff' });
    });

    it('answers nothing more once it is closed', async () => {
      const { state } = await openNew();
      await state.close();
      await expect(state.read('event', 'm', 'e')).rejects.toMatchObject({ code: 'internal.invariant' });
    });
  });
});
