/**
 * Goal: what Consul keeps beside a value (flags, locks) and what it cannot name are carried, left out with their reason
 * or refused, and never lost or overwritten in silence. Method: an application that sets them, on a real server.
 */
import { consulVersions, serverOrSkip, startConsul, type ConsulServer } from '@keyferry/servers';
import {
  chunkId,
  keyFromText,
  keyToText,
  prefixRange,
  type ChunkWriter,
  type GuardedPut,
  type MigrationId,
  type Restoration,
  type SourceStore,
  type TargetControl,
  type Version,
} from '@keyferry/core';
import { readAll } from '@keyferry/core/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openConsulOnlineTarget, openConsulSource, type ConsulSourceOptions } from '../../src/consul/index.ts';
import { openFixture, type ConsulFixture, type ConsulStore } from './consul-fixture.ts';

const everything = prefixRange(keyFromText('app/'));
const fence = { attempt: 1, token: 1 };
const text = (value: Uint8Array) => Buffer.from(value).toString('utf8');
const seed = (name: string, value = name) => ({
  key: keyFromText(`app/${name}`),
  value: Buffer.from(value),
  ttlMs: null,
});
const put = (name: string, value: string, version?: Version): GuardedPut => ({
  kind: 'put',
  key: keyFromText(`app/${name}`),
  value: Buffer.from(value),
  expiresAtMs: null,
  expect: version === undefined ? 'absent' : { version },
});

async function begin(store: ConsulStore): Promise<{ readonly control: TargetControl; readonly writer: ChunkWriter }> {
  const control = store.control('values' as MigrationId);
  await control.raiseEpoch(fence);
  const claimed = await control.claimChunk(chunkId(0), fence, fence);
  if (claimed.kind !== 'claimed') throw new Error('the claim was refused');
  return { control, writer: claimed.writer };
}

for (const version of consulVersions) {
  const available = await serverOrSkip(`consul-${version}`);
  describe.skipIf(!available.ok)(`on consul ${version}${available.note}`, () => {
    let server: ConsulServer;
    beforeAll(async () => {
      server = await startConsul({ version, extraConfig: { limits: { txn_max_req_len: 1_048_576 } } });
    });
    afterAll(() => server.stop());

    const withFixture = async (body: (fixture: ConsulFixture) => Promise<void>, options = {}): Promise<void> => {
      const fixture = await openFixture(server, [seed('plain')], options);
      try {
        await body(fixture);
      } finally {
        await fixture.close();
      }
    };
    const readSource = async (options: Partial<ConsulSourceOptions> = {}) => {
      const { endpoints } = server;
      const source: SourceStore = openConsulSource({ name: 'test', endpoints, nowMs: () => Date.now(), ...options });
      const view = await source.openView(everything);
      const found: Record<string, string> = {};
      for await (const { records, notCarried } of view.scan(everything, { pageKeysMax: 100 })) {
        for (const { key, value } of records) found[keyToText(key) ?? ''] = text(value);
        for (const { key, reason } of notCarried) found[keyToText(key) ?? ''] = `(${reason})`;
      }
      await view.close();
      await source.close();
      return found;
    };

    describe('flags', () => {
      it('of a source are left out and counted, carried or dropped, as it is told', () =>
        withFixture(async ({ application }) => {
          await application.putFlags('app/flagged', 'v', '18446744073709551615');
          expect(await readSource()).toEqual({ 'app/flagged': '(flags.set)', 'app/plain': 'plain' });
          expect(await readSource({ flags: 'carry' })).toEqual({
            'app/flagged': 'consul-flags:18446744073709551615\nv',
            'app/plain': 'plain',
          });
          expect(await readSource({ flags: 'drop' })).toEqual({ 'app/flagged': 'v', 'app/plain': 'plain' });
        }));

      it('that were carried are written as flags again, exactly', () =>
        withFixture(async ({ store, application }) => {
          const { writer } = await begin(store);
          await writer.write([put('flagged', 'consul-flags:18446744073709551615\nv')]);
          expect(await application.flagsOf('app/flagged')).toBe('18446744073709551615');
          const [record] = await store.lookUp([keyFromText('app/flagged')]);
          expect(text(record?.value ?? Buffer.of())).toBe('consul-flags:18446744073709551615\nv');
        }));

      it('go back with a before-image', () =>
        withFixture(async ({ store, application }) => {
          await application.putFlags('app/flagged', 'before', '42');
          const { control, writer } = await begin(store);
          const [image] = await control.readBefore([keyFromText('app/flagged')]);
          if (image === null || image === undefined) throw new Error('it is there');
          expect(await writer.write([put('flagged', 'after', image.version)])).toMatchObject([{ kind: 'written' }]);
          expect(await application.flagsOf('app/flagged')).toBe('0');
          const restoration: Restoration = { undo: 'overwrite', image };
          expect(await control.restore([restoration], fence)).toEqual(['restored']);
          expect(await application.flagsOf('app/flagged')).toBe('42');
        }));

      it('that a value says itself are written, and shown only where they are others', () =>
        withFixture(
          async ({ store, application }) => {
            const { writer } = await begin(store);
            const value = '{"version":9007199254740991}';
            await writer.write([put('versioned', value)]);
            expect(await application.flagsOf('app/versioned')).toBe('9007199254740991');
            expect(await readSource({ flagsFrom: '/version' })).toMatchObject({ 'app/versioned': value });
            await application.putFlags('app/versioned', value, '7');
            const records = await readAll(store, everything);
            expect(records.map((record) => text(record.value))).toContain(`consul-flags:7\n${value}`);
          },
          { flagsFrom: '/version' },
        ));
    });

    describe('a lock', () => {
      it('that a session holds is not carried, and one that was given up is a record', () =>
        withFixture(async ({ application }) => {
          const session = await application.lock('app/lock');
          expect(await readSource()).toEqual({ 'app/lock': '(lock.held)', 'app/plain': 'plain' });
          await application.unlock(session);
          expect(await readSource()).toEqual({ 'app/lock': 'holder', 'app/plain': 'plain' });
        }));

      it('is neither overwritten nor deleted, although the plan saw it as it is', () =>
        withFixture(async ({ store, application }) => {
          await application.lock('app/lock');
          const { writer } = await begin(store);
          const [record] = await store.lookUp([keyFromText('app/lock')]);
          const held = record?.version as Version;
          const overwritten = await writer.write([put('lock', 'ours', held), put('beside', 'v')]);
          expect(overwritten).toMatchObject([{ kind: 'refused' }, { kind: 'written' }]);
          const gone = await writer.write([
            { kind: 'delete', key: keyFromText('app/lock'), expect: { version: held } },
          ]);
          expect(gone).toMatchObject([{ kind: 'refused' }]);
          expect(await writer.write([put('lock', 'ours')])).toMatchObject([{ kind: 'present', equal: false }]);
          expect((await store.lookUp([keyFromText('app/lock')]))[0]).toEqual(record);
        }));

      it('that was taken since the plan is another version, also on a key that the migration wrote', () =>
        withFixture(async ({ store, application }) => {
          const { writer, control } = await begin(store);
          await writer.write([put('lock', 'ours')]);
          const [before] = await store.lookUp([keyFromText('app/plain')]);
          await application.lock('app/plain');
          await application.lock('app/lock');
          const outcomes = await writer.write([put('plain', 'ours', before?.version)]);
          expect(outcomes).toMatchObject([{ kind: 'present', equal: false }]);
          const created = [];
          for await (const page of control.listCreated(everything, { pageKeysMax: 10 })) created.push(...page);
          expect(created).toEqual([]);
        }));
    });

    describe('a key', () => {
      it('that is not UTF-8 is not carried, and none is mistaken for it', () =>
        withFixture(async ({ application }) => {
          for (const name of ['%FF', '%FE', '%EF%BF%BD']) await application.call('PUT', `kv/app/x${name}`, 'v');
          const found = await readSource();
          expect(Object.values(found).toSorted()).toEqual(['(key.not-text)', '(key.not-text)', 'plain', 'v']);
          expect(found['app/x�']).toBe('v');
        }));

      it('that no path names is refused, and is read where it is there', () =>
        withFixture(async ({ store, application }) => {
          const { writer } = await begin(store);
          for (const name of ['a//b', 'a/../b', 'a/.']) {
            expect(await writer.write([put(name, 'v')])).toMatchObject([{ kind: 'refused' }]);
            await application.write([{ put: seed(name, 'theirs') }]);
          }
          expect(await readSource()).toMatchObject({
            'app/a//b': 'theirs',
            'app/a/../b': 'theirs',
            'app/a/.': 'theirs',
          });
          expect(await store.countRecords(prefixRange(keyFromText('app/a//')), 10)).toBe(1);
        }));
    });

    describe('a value', () => {
      it('above what a transaction holds by default is taken where the servers and the store are told to', () =>
        withFixture(
          async ({ store }) => {
            const value = 'x'.repeat(512 * 1024 - 'app/large'.length);
            expect(store.capabilities.recordBytesMax).toBe(512 * 1024);
            const { writer } = await begin(store);
            expect(await writer.write([put('large', value)])).toMatchObject([{ kind: 'written' }]);
            expect((await readSource())['app/large']).toBe(value);
          },
          { transactionBytes: 1_048_576 },
        ));

      it('with a key of many bytes is refused by itself once both do not fit', () =>
        withFixture(async ({ store }) => {
          const { writer } = await begin(store);
          const long = 'k'.repeat(60_000);
          const outcomes = await writer.write([put(long, 'v'.repeat(320_000)), put('beside', 'v')]);
          expect(outcomes).toMatchObject([{ kind: 'refused' }, { kind: 'written' }]);
          const { unfit } = store.capabilities;
          expect(unfit?.({ key: keyFromText(`app/${long}`), value: Buffer.alloc(320_000) })).not.toBeNull();
        }));
    });

    it('a tombstone that comes between two batches, or into one, is looked for from then on', () =>
      withFixture(async ({ store, application }) => {
        const { writer } = await begin(store);
        const puts = (from: number, to: number) =>
          Array.from({ length: to - from }, (_, i) => put(`k${from + i}`, 'copied'));
        // As many as go into one transaction while there is none.
        const first = await writer.write(puts(0, 60));
        expect(new Set(first.map(({ kind }) => kind))).toEqual(new Set(['written']));
        expect(await application.call('GET', 'kv/_keyferry/values/mark/?keys')).toHaveLength(1);
        const { endpoints } = server;
        const target = openConsulOnlineTarget({ name: 'test', endpoints, migration: 'values' });
        const ask = { kind: 'write', write: { kind: 'delete' }, expect: 'any', tombstone: 'write' } as const;
        for (const name of ['k70', 'k119']) {
          await target.ask(keyFromText(`app/${name}`), ask, { epoch: 1 as never, version: null });
        }
        const second = await writer.write(puts(60, 120));
        const wanted = puts(60, 120).map(({ key }) => (/k(?:70|119)$/.test(key) ? 'tombstoned' : 'written'));
        expect(second.map(({ kind }) => kind)).toEqual(wanted);
        // Two of 30, each under a mark of its own.
        expect(await application.call('GET', 'kv/_keyferry/values/mark/?keys')).toHaveLength(3);
        const control = store.control('values' as MigrationId);
        await control.dropControl(fence);
        expect(await application.call('GET', 'kv/_keyferry/values/?keys')).toEqual(['_keyferry/values/epoch']);
        await target.close();
      }));
  });
}
