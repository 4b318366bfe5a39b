/**
 * Goal: a function that nobody calls but the stream of its source loses no write of the application, through a kill and events
 * that come twice, and does not call itself.
 * Method: the built bundle in the local cloud, tables of DynamoDB Local, and a stream that is delivered as Lambda does; the
 * application's own tally is held against what a client reads.
 */
import { setTimeout as wait } from 'node:timers/promises';
import { LocalCloud } from '@keyferry/lambda/local';
import { serverOrSkip, startDynamoDb, type DynamoDbServer } from '@keyferry/servers';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { createTable, deleteItem, itemsOf, putItems, setStream, type TableItems } from './dynamodb-data.ts';
import { MigrationFolder, until } from './migration-folder.ts';
import { Application, type ApplicationStore } from './replicate-application.ts';
import { StreamMapping } from './stream-mapping.ts';

const available = await serverOrSkip('dynamodb-local');
const timeoutMs = 30_000;

/** What a function that was called by a stream logged at its end. */
interface WokenLine {
  readonly outcome: string;
  readonly tail: string | null;
  readonly carried: { readonly puts: number };
  readonly left: number;
}

/** Values by key, but for tombstones. */
function textsOf({ records }: TableItems): Readonly<Record<string, string>> {
  const texts = [...records].map(([id, item]) => [id, item['value']?.['S']] as const);
  return Object.fromEntries(texts.filter((entry): entry is [string, string] => typeof entry[1] === 'string'));
}

describe.skipIf(!available.ok)(
  `replication by a function that a stream calls${available.note}`,
  { timeout: 600_000 },
  () => {
    let dynamo: DynamoDbServer;

    beforeAll(async () => {
      dynamo = await startDynamoDb();
      Object.assign(process.env, dynamo.credentials);
    });
    afterAll(async () => {
      await dynamo?.stop();
    });

    // All that it began is ended, whatever fails of that, and each failure is told.
    it('called by a stream alone carries each write through a kill and duplicates, and then nobody calls any more', async () => {
      const { endpoint } = dynamo;
      const [region, table, copies] = ['eu-west-1', 'flags', 'copied-flags'];
      for (const name of [table, copies]) {
        await createTable(endpoint, name, { hash: 'id' });
        await setStream(endpoint, name, true);
      }
      const source: ApplicationStore = {
        // At a pace, as the emulator takes a hundred transactions a second.
        put: async (name, value) => {
          await putItems(endpoint, table, [{ id: { S: name }, value: { S: value } }]);
          await wait(20);
        },
        delete: (name) => deleteItem(endpoint, table, { id: { S: name } }),
        read: async () => textsOf(await itemsOf(endpoint, table)),
      };
      const store = { kind: 'dynamodb', region, endpoint, key: { hash: 'id' }, value: { type: 'string' } };
      const stateTable = { table: 'state-of-flags', region, endpoint };
      const flags = await MigrationFolder.create({
        source: { ...store, table },
        target: { ...store, table: copies },
        prefix: '',
        settings: {
          strategy: 'replicate',
          replicate: { freeze: { switch: { dynamodb: stateTable, key: 'flags' } }, pauseMax: '90s', requestLife: '2s' },
          guards: { deleteShareMax: 1 },
        },
        state: { dynamodb: stateTable },
      });
      onTestFinished(() => flags.remove());
      const writer = new Application({ source, target: source }, async () => null);
      const ended: WokenLine[] = [];
      const failures: unknown[] = [];
      let kills = 0;
      const cloud = new LocalCloud({
        folder: flags.file('functions'),
        timeoutMs,
        concurrency: 1,
        onEnd: (_name, end) => {
          if (end.kind === 'failed') failures.push(end.error);
        },
        onLine: (line, _name, environment) => {
          if (line.includes('"tail.ended"')) ended.push((JSON.parse(line) as { data: WokenLine }).data);
          // In the middle of its work: it holds the lock and the tail then.
          if (kills > 0 || !line.includes('"tail.progress"')) return;
          kills += 1;
          environment.kill();
        },
      });
      onTestFinished(() => cloud.close());
      for (const args of [
        ['state', 'create-table'],
        ['lambda', 'package', 'move', '--out', 'functions'],
        ['plan', 'move', '--out', 'move.kfplan'],
        ['apply', 'move.kfplan'],
      ]) {
        expect(await flags.run(args)).toMatchObject({ exitCode: 0 });
      }
      const mapping = await StreamMapping.start(endpoint, table, (event) => cloud.invoke('tail', event));
      onTestFinished(() => mapping.end());
      writer.start();
      onTestFinished(() => writer.stop());
      await until(async () => kills > 0 && ended.filter(({ carried }) => carried.puts > 0).length >= 2);
      await writer.stop();
      await until(async () => mapping.quietPolls >= 20);
      await mapping.end();
      await cloud.close();
      expect(textsOf(await itemsOf(endpoint, copies))).toEqual(Object.fromEntries(writer.tally));
      expect(writer.tally.size).toBeGreaterThan(0);
      expect([failures, kills]).toEqual([[], 1]);
      expect(mapping.again).toBeGreaterThan(0);
      // What came twice or was keyferry's own was acknowledged without work, and the last call was one of those.
      expect(ended.at(-1)).toMatchObject({ outcome: 'done', left: 0, tail: null });
    });
  },
);
