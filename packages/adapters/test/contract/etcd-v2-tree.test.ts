/**
 * Goal: what a v2 tree holds comes out as records or with the reason why not, and for any prefix the right part of it.
 * Method: awkward trees on a real server of each release; times that the test may choose.
 */
import { loadV2Keys, serverOrSkip, startEtcd, type EtcdServer } from '@keyferry/servers';
import { keyFromText, prefixRange } from '@keyferry/core';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import {
  contentOfView,
  expectFailure,
  keysOf,
  openSource,
  readPrefix,
  send,
  versions,
  wipe,
} from './etcd-v2-fixture.ts';

const hourMs = 3_600_000;

for (const version of versions) {
  const available = await serverOrSkip(`etcd-${version}`);
  describe.skipIf(!available.ok)(`a v2 tree on ${version}${available.note}`, () => {
    let server: EtcdServer;
    let endpoint: string;
    beforeAll(async () => {
      server = await startEtcd({ version, enableV2: true, unsafeNoFsync: true });
      endpoint = server.endpoints[0] ?? '';
    });
    afterAll(() => server.stop());
    beforeEach(() => wipe(endpoint));

    const put = (key: string, fields: Readonly<Record<string, string>>): Promise<void> =>
      send(endpoint, 'PUT', key, fields);
    const fill = async (...keys: readonly string[]): Promise<void> => {
      for (const key of keys) await put(key, { value: `value of ${key}` });
    };

    it('has directories that are not carried, each named once', async () => {
      await fill('/app/a', '/app/b/c', '/other/x');
      await put('/app/empty', { dir: 'true' });
      const store = openSource([endpoint]);
      const { records, notCarried } = await readPrefix(store, '/app/');
      expect(keysOf(records)).toEqual(['/app/a', '/app/b/c']);
      expect(notCarried).toEqual([
        { key: '/app/b', reason: 'dir.with-children' },
        { key: '/app/empty', reason: 'dir.empty' },
      ]);
      expect((await readPrefix(store, '/app')).notCarried[0]).toEqual({ key: '/app', reason: 'dir.with-children' });
      await store.close();
    });

    it('splits into adjoining ranges that name each directory once', async () => {
      await fill('/app/a', '/app/b/c', '/app/b-c', '/app/d/e/f');
      await put('/app/b/empty', { dir: 'true' });
      const store = openSource([endpoint]);
      const range = prefixRange(keyFromText('/app/'));
      const view = await store.openView(range);
      const whole = await contentOfView(view, range);
      for (const { key } of [...whole.records, ...whole.notCarried]) {
        const below = await contentOfView(view, { start: range.start, end: key }, 1);
        const above = await contentOfView(view, { start: key, end: range.end }, 1);
        expect([...below.records, ...above.records]).toEqual(whole.records);
        expect([...below.notCarried, ...above.notCarried]).toEqual(whole.notCarried);
      }
      await view.close();
      await store.close();
    });

    it.each([
      { prefix: '/', keys: ['/config', '/configure/x', '/confi/y', '/z'] },
      { prefix: '', keys: ['/config', '/configure/x', '/confi/y', '/z'] },
      { prefix: '/config', keys: ['/config', '/configure/x'] },
      { prefix: '/config/', keys: [] },
      { prefix: '/configure/', keys: ['/configure/x'] },
      { prefix: '/confi', keys: ['/config', '/configure/x', '/confi/y'] },
      { prefix: '/configure/x', keys: ['/configure/x'] },
      { prefix: '/none/', keys: [] },
      { prefix: '/none/at/all/', keys: [] },
      { prefix: 'config', keys: [] },
      { prefix: '//', keys: [] },
      { prefix: '/configure/../', keys: [] },
    ])('shows the keys that begin with "$prefix"', async ({ prefix, keys }) => {
      await fill('/config', '/configure/x', '/confi/y', '/z');
      const store = openSource([endpoint]);
      const range = prefixRange(keyFromText(prefix));
      const view = await store.openView(range);
      expect(view.position).toBe(await store.head());
      expect(keysOf((await contentOfView(view, range)).records)).toEqual(keys.toSorted());
      await view.close();
      await store.close();
    });

    it('keeps names and values of any text, below directories of any name', async () => {
      const names = ['/ü b/100%', '/ü b/%2F', '/ü b/a+b&c=d?e#f', '/ü b/😀/\u2028', '/ü b/"quoted\\"', '/ü b/<&>'];
      await fill(...names);
      await put('/ü b/empty', { value: '' });
      await put('/ü b/large', { value: 'é'.repeat(1_000_000) });
      const store = openSource([endpoint]);
      const { records } = await readPrefix(store, '/ü b/');
      const values = new Map(records.map(({ key, value }) => [key, Buffer.from(value).toString('utf8')]));
      for (const name of names) expect(values.get(keyFromText(name))).toBe(`value of ${name}`);
      expect(values.get(keyFromText('/ü b/empty'))).toBe('');
      expect(values.get(keyFromText('/ü b/large'))).toHaveLength(1_000_000);
      expect(values.size).toBe(names.length + 2);
      await store.close();
    });

    it('gives children the earliest expiry above them, and reports what has expired', async () => {
      await put('/ttl/dir', { dir: 'true', ttl: '7200' });
      await fill('/ttl/dir/permanent', '/ttl/permanent');
      await put('/ttl/dir/sub/later', { value: 'v', ttl: '36000' });
      await put('/ttl/dir/sooner', { value: 'v', ttl: '3600' });
      const nowMs = Date.now();
      const store = openSource([endpoint]);
      const { records } = await readPrefix(store, '/ttl/');
      const hours = records.map(({ key, expiresAtMs }) => [
        key,
        expiresAtMs === null ? null : Math.round((expiresAtMs - nowMs) / (hourMs / 10)) / 10,
      ]);
      expect(hours).toEqual([
        ['/ttl/dir/permanent', 2],
        ['/ttl/dir/sooner', 1],
        ['/ttl/dir/sub/later', 2],
        ['/ttl/permanent', null],
      ]);

      const later = openSource([endpoint], { nowMs: () => nowMs + 1.5 * hourMs });
      const expired = await readPrefix(later, '/ttl/');
      expect(keysOf(expired.records)).toEqual(['/ttl/dir/permanent', '/ttl/dir/sub/later', '/ttl/permanent']);
      expect(expired.notCarried).toContainEqual({ key: '/ttl/dir/sooner', reason: 'ttl.expired' });
      await store.close();
      await later.close();
    });

    it('has hidden names that no listing shows, and that only their own directory lists', async () => {
      await fill('/app/a', '/app/_secret', '/_hidden/b');
      const store = openSource([endpoint]);
      expect(keysOf((await readPrefix(store, '/')).records)).toEqual(['/app/a']);
      expect(keysOf((await readPrefix(store, '/_hidden/')).records)).toEqual(['/_hidden/b']);
      await expectFailure(readPrefix(store, '/_hid'), 'store.unsupported', /hidden names/);
      await expectFailure(readPrefix(store, '/app/_secret'), 'store.unsupported', /hidden names/);
      await send(endpoint, 'DELETE', '/_hidden', { recursive: 'true' });
      await store.close();
    });

    it('gives records the modified index as version, and moves its head with other prefixes too', async () => {
      await fill('/app/a');
      const store = openSource([endpoint]);
      const head = await store.head();
      expect((await readPrefix(store, '/app/')).records[0]?.version).toBe(head);
      await fill('/elsewhere');
      expect(await store.head()).toBe(String(Number(head) + 1));
      await store.close();
    });

    it('is described by what the server says', async () => {
      const store = openSource([endpoint]);
      expect(await store.describe()).toEqual({
        kind: 'etcd-v2',
        version: expect.stringMatching(/^3\.\d+\.\d+$/) as string,
        endpoints: [endpoint],
        members: 1,
        identity: expect.stringMatching(/^[1-9a-f][0-9a-f]{0,15}$/) as string,
        viewLocks: null,
      });
      expect(await store.readMembers()).toBeNull();
      await store.close();
    });
  });

  describe.skipIf(!available.ok)(`many keys on ${version}${available.note}`, () => {
    it('are read whole and in order', async () => {
      await using server = await startEtcd({ version, enableV2: true, unsafeNoFsync: true });
      const keys = Array.from({ length: 5000 }, (_, i) => `/many/d${i % 70}/${i.toString(36)}-é`);
      await loadV2Keys(
        server.endpoints[0] ?? '',
        keys.map((key) => ({ key, value: 'v'.repeat(500) })),
      );
      const store = openSource(server.endpoints);
      const { records, notCarried } = await readPrefix(store, '/many/');
      expect(keysOf(records).toSorted()).toEqual(keys.toSorted());
      expect(records.every(({ key }, i) => i === 0 || key > (records[i - 1]?.key ?? ''))).toBe(true);
      expect(notCarried).toHaveLength(70);
      await store.close();
    });
  });
}
