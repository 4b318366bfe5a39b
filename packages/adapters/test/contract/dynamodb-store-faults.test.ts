/**
 * Goal: whatever a busy service or a bad network does, a batch has happened once, or not at all, or is told as unknown
 * and settled by its repeat; what is read is whole; nothing that a service says gives a credential away.
 * Method: DynamoDB Local behind a proxy that does what the emulator never does; the table is looked at beside the proxy.
 */
import { serverOrSkip, startFaultyDynamoDb, type DynamoDbFault, type FaultyDynamoDb } from '@keyferry/servers';
import {
  keyFromText,
  prefixRange,
  type ChunkWriter,
  type GuardedPut,
  type Key,
  type MigrationId,
  type Position,
  type TailChange,
  type Version,
} from '@keyferry/core';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { useDynamoDb } from './dynamodb-fixture.ts';
import {
  openStoreFixture,
  plainTable,
  type DynamoDbStore,
  type DynamoDbStoreFixture,
} from './dynamodb-store-fixture.ts';

const available = await serverOrSkip('dynamodb-local');
const first = { attempt: 1, token: 1 };
const all = prefixRange(keyFromText(''));

function putOf(name: string, value = name): GuardedPut {
  return { kind: 'put', key: keyFromText(name), value: Buffer.from(value), expiresAtMs: null, expect: 'absent' };
}

describe.skipIf(!available.ok)(`DynamoDB as a store behind a faulty proxy${available.note}`, () => {
  const bench = useDynamoDb();
  let proxy: FaultyDynamoDb;
  let fixture: DynamoDbStoreFixture;
  /** Through the proxy. */
  let store: DynamoDbStore;
  beforeEach(async () => {
    proxy = await startFaultyDynamoDb(bench().endpoint);
    fixture = await openStoreFixture(bench(), plainTable);
    store = await fixture.openAnother({ endpoint: proxy.endpoint, requestTimeoutMs: 5000 });
  });
  afterEach(async () => {
    expect(proxy.unspent(), 'faults that did not come to pass').toBe(0);
    await fixture.close();
    await proxy.close();
  });

  const begin = async (writes: 'transactions' | 'single' = 'transactions'): Promise<ChunkWriter> => {
    const through = await fixture.openAnother({ endpoint: proxy.endpoint, requestTimeoutMs: 5000, writes });
    const control = through.control('m' as never);
    await control.raiseEpoch(first);
    const claimed = await control.claimChunk('c00000' as never, first, first);
    return (claimed as { readonly writer: ChunkWriter }).writer;
  };
  const recordsNow = async (): Promise<readonly string[]> =>
    (await fixture.scan())
      .map(({ id }) => id?.S ?? '')
      .filter((id) => !id.startsWith('_keyferry/'))
      .toSorted();
  const versionOf = async (name: string): Promise<Version> =>
    (await fixture.store.lookUp([keyFromText(name)]))[0]?.version as Version;

  describe('a write of a tail', () => {
    const migration = 'm' as MigrationId;
    const put = (name: string): TailChange => ({
      kind: 'put',
      key: keyFromText(name),
      value: Buffer.from(name),
      expiresAtMs: null,
    });

    it.each<[DynamoDbFault['kind'], 'transactions' | 'single']>([
      ['drop-answer', 'transactions'],
      ['deliver-twice', 'transactions'],
      ['drop-answer', 'single'],
      ['deliver-twice', 'single'],
    ])('with the fault %s, by %s, is its owner’s own when it is repeated', async (kind, writes) => {
      const through = await fixture.openAnother({ endpoint: proxy.endpoint, requestTimeoutMs: 5000, writes });
      await through.control(migration).raiseEpoch(first);
      const tail = through.tail(migration);
      const claimed = await tail.claimTail('forward', first, first);
      if (claimed.kind !== 'claimed') throw new Error('refused');
      const { writer } = claimed;
      await writer.apply([put('a')], 'p1' as Position);
      const again = () => writer.apply([{ kind: 'delete', key: keyFromText('a') }, put('b')], 'p2' as Position);
      proxy.plant('TransactWriteItems', { kind } as DynamoDbFault);
      const outcomes = await again().catch((error: unknown) => {
        expect(error).toMatchObject({ retry: 'backoff' });
        return again();
      });
      expect(outcomes).toEqual([{ kind: 'deleted' }, { kind: 'written', version: await versionOf('b') }]);
      expect(await fixture.store.lookUp([keyFromText('a')])).toEqual([null]);
      expect(await tail.readTail('forward')).toEqual({ fence: first, position: 'p2' });
    });

    it('keeps what belongs to no record', async () => {
      await fixture.change([{ put: { key: keyFromText('a'), value: Buffer.from('old'), ttlMs: null } }]);
      await store.control(migration).raiseEpoch(first);
      const claimed = await store.tail(migration).claimTail('reverse', first, first);
      if (claimed.kind !== 'claimed') throw new Error('refused');
      await claimed.writer.apply([put('a')], null);
      const item = (await fixture.scan()).find(({ id }) => id?.S === 'a');
      expect(item).toMatchObject({ value: { B: expect.anything() }, rev: { N: expect.any(String) } });
      expect(Buffer.from(item?.['value']?.B ?? []).toString()).toBe('a');
    });
  });

  describe('a request that is refused for now', () => {
    it.each<[error: string, status: number, code: string]>([
      ['ProvisionedThroughputExceededException', 400, 'store.throttled'],
      ['ThrottlingException', 400, 'store.throttled'],
      ['TransactionInProgressException', 400, 'store.throttled'],
      ['InternalServerError', 500, 'store.unreachable'],
    ])('by %s is told as such, once, and changes nothing', async (error, status, code) => {
      const writer = await begin();
      const calls: readonly [operation: string, call: () => Promise<unknown>][] = [
        ['TransactWriteItems', () => writer.write([putOf('a')])],
        ['BatchGetItem', () => store.lookUp([keyFromText('a')])],
        ['DescribeTable', () => store.describe()],
      ];
      for (const [operation, call] of calls) {
        const before = proxy.counts.get(operation) ?? 0;
        proxy.plant(operation, { kind: 'refuse', error, status });
        await expect(call()).rejects.toMatchObject({ code, retry: 'backoff' });
        // Retries are the engine's: the SDK adds none.
        expect((proxy.counts.get(operation) ?? 0) - before).toBe(1);
      }
      expect(await recordsNow()).toEqual([]);
      expect(await writer.write([putOf('a')])).toMatchObject([{ kind: 'written' }]);
    });

    it('because another transaction is at work on an item, is repeated by the engine and not taken for a refusal', async () => {
      const writer = await begin();
      const CancellationReasons = [
        { Code: 'TransactionConflict' },
        { Code: 'None' },
        { Code: 'None' },
        { Code: 'None' },
      ];
      proxy.plant('TransactWriteItems', {
        kind: 'refuse',
        error: 'TransactionCanceledException',
        more: { CancellationReasons },
      });
      await expect(writer.write([putOf('a')])).rejects.toMatchObject({ code: 'store.throttled', retry: 'backoff' });
      expect(await writer.write([putOf('a')])).toMatchObject([{ kind: 'written' }]);
    });

    it('in the middle of a scan does not begin the scan anew', async () => {
      await fixture.change(['a', 'b', 'c'].map((name) => ({ put: { ...putOf(name), ttlMs: null } })));
      const scanner = await fixture.openAnother({ endpoint: proxy.endpoint, segments: 1 });
      const throttled: DynamoDbFault = { kind: 'refuse', error: 'ProvisionedThroughputExceededException' };
      proxy.plant('Scan', { kind: 'page', items: 1 });
      proxy.plant('Scan', throttled, 3);
      proxy.plant('Scan', { kind: 'page', items: 1 });
      const view = await scanner.openView(all);
      const keys: Key[] = [];
      for await (const { records } of view.scan(all, { pageKeysMax: 10 })) keys.push(...records.map(({ key }) => key));
      await view.close();
      expect(keys).toEqual(['a', 'b', 'c']);
      expect(proxy.counts.get('Scan')).toBe(6);
    });

    it('that hangs ends with the time that one request may take', async () => {
      const impatient = await fixture.openAnother({ endpoint: proxy.endpoint, requestTimeoutMs: 300 });
      proxy.plant('BatchGetItem', { kind: 'hang' });
      await expect(impatient.lookUp([keyFromText('a')])).rejects.toMatchObject({ code: 'store.unreachable' });
    });
  });

  it.each(['transactions', 'single'] as const)('an answer of %s that is lost is settled by a repeat', async (mode) => {
    const writer = await begin(mode);
    proxy.plant(mode === 'single' ? 'PutItem' : 'TransactWriteItems', { kind: 'drop-answer' });
    await expect(writer.write([putOf('a'), putOf('b')])).rejects.toMatchObject({ code: 'store.unreachable' });
    const outcomes = await writer.write([putOf('a'), putOf('b')]);
    expect(new Set(outcomes.map(({ kind }) => kind))).toEqual(new Set(['already-written']));
    const created: string[] = [];
    for await (const page of fixture.store.control('m' as never).listCreated(all, { pageKeysMax: 10 })) {
      created.push(...page.map(({ key }) => key));
    }
    expect(created).toEqual(['a', 'b']);
  });

  it('a delete whose answer is lost is still this attempt’s', async () => {
    await fixture.change([{ put: { ...putOf('a'), ttlMs: null } }]);
    const change = { kind: 'delete', key: keyFromText('a'), expect: { version: await versionOf('a') } } as const;
    const writer = await begin();
    proxy.plant('TransactWriteItems', { kind: 'drop-answer' });
    await expect(writer.write([change])).rejects.toMatchObject({ code: 'store.unreachable' });
    expect(await writer.write([change])).toEqual([{ kind: 'deleted' }]);
  });

  it.each(['transactions', 'single'] as const)(
    'a write by %s that is delivered twice has happened once',
    async (mode) => {
      const writer = await begin(mode);
      proxy.plant(mode === 'single' ? 'PutItem' : 'TransactWriteItems', { kind: 'deliver-twice' });
      const [outcome] = await writer.write([putOf('a')]);
      expect(['written', 'already-written']).toContain(outcome?.kind);
      expect(await recordsNow()).toEqual(['a']);
      expect(await writer.write([putOf('a')])).toMatchObject([{ kind: 'already-written' }]);
    },
  );

  describe('somebody who is quicker, while the request is on its way', () => {
    it.each(['transactions', 'single'] as const)('keeps the record, by %s', async (mode) => {
      await fixture.change([{ put: { ...putOf('over', 'before'), ttlMs: null } }]);
      const overwrite: GuardedPut = { ...putOf('over', 'ours'), expect: { version: await versionOf('over') } };
      const writer = await begin(mode);
      const theirs = ['new', 'over'].map((name) => ({ put: { ...putOf(name, 'theirs'), ttlMs: null } }));
      // The guard of single writes is a transaction too, so in both modes it comes after the look.
      proxy.plant('TransactWriteItems', { kind: 'before', act: () => fixture.change(theirs) });
      expect(await writer.write([putOf('new'), overwrite, putOf('beside')])).toMatchObject([
        { kind: 'present', equal: false },
        { kind: 'present', equal: false },
        { kind: 'written' },
      ]);
      const created: string[] = [];
      for await (const page of fixture.store.control('m' as never).listCreated(all, { pageKeysMax: 10 })) {
        created.push(...page.map(({ key }) => key));
      }
      expect(created).toEqual(['beside']);
    });

    it('and claims the chunk, shuts the batch out whole', async () => {
      const writer = await begin();
      const claim = async () => {
        const control = fixture.store.control('m' as never);
        await control.claimChunk('c00000' as never, { attempt: 1, token: 2 }, first);
      };
      proxy.plant('TransactWriteItems', { kind: 'before', act: claim });
      await expect(writer.write([putOf('a'), putOf('b')])).rejects.toMatchObject({ code: 'fence.lost' });
      expect(await recordsNow()).toEqual([]);
    });

    it('by single writes too, as long as the batch has not begun', async () => {
      const writer = await begin('single');
      const raise = async () => void (await fixture.store.control('m' as never).raiseEpoch({ attempt: 2, token: 1 }));
      proxy.plant('TransactWriteItems', { kind: 'before', act: raise });
      await expect(writer.write([putOf('a')])).rejects.toMatchObject({ code: 'fence.lost' });
      expect(await recordsNow()).toEqual([]);
    });
  });

  it('a refusal that does not say what is there is looked after', async () => {
    await fixture.change([{ put: { ...putOf('a', 'theirs'), ttlMs: null } }]);
    const writer = await begin();
    const forget = (answer: Record<string, unknown>): Record<string, unknown> => ({
      ...answer,
      CancellationReasons: (answer['CancellationReasons'] as { Code: string }[]).map(({ Code }) => ({ Code })),
    });
    proxy.plant('TransactWriteItems', { kind: 'edit-answer', edit: forget });
    expect(await writer.write([putOf('a'), putOf('b')])).toMatchObject([
      { kind: 'present', equal: false },
      { kind: 'written' },
    ]);
  });

  describe('a batch of which only some is done', () => {
    it('is read again until all of it was', async () => {
      await fixture.change(['a', 'b', 'c'].map((name) => ({ put: { ...putOf(name), ttlMs: null } })));
      proxy.plant('BatchGetItem', { kind: 'process-only', items: 1 }, 2);
      const found = await store.lookUp(['a', 'b', 'c', 'd'].map(keyFromText));
      expect(found.map((record) => record?.key ?? null)).toEqual(['a', 'b', 'c', null]);
    });

    it('is deleted until all of it is gone; and is throttled when nothing is taken any more', async () => {
      const writer = await begin();
      await writer.write([putOf('a')]);
      const control = store.control('m' as never);
      proxy.plant('BatchWriteItem', { kind: 'process-only', items: 1 });
      proxy.plant('BatchWriteItem', { kind: 'process-only', items: 0 });
      await expect(control.dropControl(first)).rejects.toMatchObject({ code: 'store.throttled', retry: 'backoff' });
      await control.dropControl(first);
      const own = (await fixture.scan()).map(({ id }) => id?.S ?? '').filter((id) => id.startsWith('_keyferry/'));
      expect(own.every((id) => id.startsWith('_keyferry/m/epoch/'))).toBe(true);
    });
  });

  it('what the service says of a signature is told without the request that was signed', async () => {
    const message =
      'The request signature we calculated does not match the signature you provided.\n\n' +
      "The Canonical String for this request should have been\n'POST\n/\nx-amz-security-token:TOKEN-OF-A-SESSION'";
    proxy.plant('DescribeTable', { kind: 'refuse', error: 'InvalidSignatureException', message });
    const error: unknown = await store.describe().catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: 'store.permission-denied', retry: 'never' });
    const texts: string[] = [];
    for (let each = error; each instanceof Error; each = each.cause) {
      texts.push(each.message, each.stack ?? '', JSON.stringify(each));
    }
    expect(texts.join('\n')).toContain('does not match the signature');
    expect(texts.join('\n')).not.toContain('TOKEN-OF-A-SESSION');
  });
});
