/** Goal: the stores of an online migration keep the promises of their ports. Method: core's suites, on real servers. */
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { keyFromText, originText, type Key, type MigrationId, type SwitchVersion } from '@keyferry/core';
import {
  onlineSourceContract,
  onlineTargetContract,
  sourceMovesContract,
  targetMovesContract,
  type OnlineTargetFixture,
} from '@keyferry/core/testing';
import { serverOrSkip, startEtcd, type EtcdServer } from '@keyferry/servers';
import { Etcd3 } from 'etcd3';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openEtcdV2OnlineSource } from '../../src/etcd-v2/index.ts';
import { keyToBuffer } from '../../src/etcd-v3/codec.ts';
import { ControlKeys } from '../../src/etcd-v3/control.ts';
import { openEtcdV3OnlineTarget } from '../../src/etcd-v3/index.ts';

const outlive = (ttlMs: number): Promise<void> => sleep(ttlMs);

for (const version of ['3.3', '3.4', '3.5'] as const) {
  const available = await serverOrSkip(`etcd-${version}`);
  describe.skipIf(!available.ok)(`on ${version}${available.note}`, () => {
    let server: EtcdServer;
    let application: Etcd3;
    beforeAll(async () => {
      server = await startEtcd({ version, enableV2: true, unsafeNoFsync: true });
      application = new Etcd3({ hosts: [...server.endpoints] });
    });
    afterAll(async () => {
      application.close();
      await server.stop();
    });

    const openSource = async () => {
      const folder = `/online-${randomUUID()}`;
      const store = openEtcdV2OnlineSource({ name: 'old', endpoints: server.endpoints });
      return { store, key: (name: string) => keyFromText(`${folder}/${name}`), outlive, close: () => store.close() };
    };
    onlineSourceContract('etcd v2', openSource);
    sourceMovesContract('etcd v2', openSource);

    const openTarget = async (holdsSwitch: boolean): Promise<OnlineTargetFixture> => {
      const folder = randomUUID();
      const migration = `m-${folder}`;
      const switchKey = `config/${folder}`;
      const store = openEtcdV3OnlineTarget({
        name: 'new',
        endpoints: server.endpoints,
        migration,
        ...(holdsSwitch && { switchKey }),
      });
      const keys = new ControlKeys(keyFromText('_keyferry/'), migration as MigrationId);
      return {
        store,
        key: (name) => keyFromText(`/online-${folder}/${name}`),
        outlive,
        copy: async (key, text, from) => {
          const success = [
            { request_put: { key: keyToBuffer(key), value: Buffer.from(text) } },
            { request_put: { key: keys.origin(key), value: Buffer.from(originText(from)) } },
          ];
          await application.kv.txn({ success });
        },
        moveSwitch: async () => {
          const { header } = await application.put(`${switchKey}/record`).value('moved');
          return header.revision as SwitchVersion;
        },
        close: () => store.close(),
      };
    };
    onlineTargetContract('etcd v3', openTarget);
    targetMovesContract('etcd v3', openTarget);

    it('lists of a target go on over several pages, in one snapshot', async () => {
      const folder = `/pages-${randomUUID()}/`;
      const store = openEtcdV3OnlineTarget({ name: 'new', endpoints: server.endpoints, migration: 'pages' });
      const keys = new ControlKeys(keyFromText('_keyferry/'), 'pages' as MigrationId);
      const names = Array.from({ length: 1300 }, (_, i) => String(i).padStart(4, '0'));
      for (let at = 0; at < names.length; at += 100) {
        // Every third is deleted, the next of them present besides its tombstone.
        const success = names.slice(at, at + 100).map((name, i) => {
          const key = keyFromText(`${folder}${name}`);
          return { request_put: { key: i % 3 === 0 ? keys.tomb(key) : keyToBuffer(key), value: Buffer.from('x') } };
        });
        await application.kv.txn({ success });
      }
      const listed: { readonly key: Key; readonly isThere: boolean }[] = [];
      const range = { start: keyFromText(folder), end: keyFromText(`${folder}~`) };
      for await (const page of store.list(range)) {
        if (listed.length === 0) await application.delete().prefix(folder).exec();
        listed.push(...page.map(({ key, record }) => ({ key, isThere: record !== null })));
      }
      expect(listed.map(({ key }) => key)).toEqual(names.map((name) => keyFromText(`${folder}${name}`)));
      expect(listed.map(({ isThere }) => isThere)).toEqual(names.map((_, i) => (i % 100) % 3 !== 0));
      await store.close();
    });
  });
}
