/**
 * Goal: with authentication on, a reader with the least permission reads its prefix, and every refusal says what to do.
 * Method: a user with read permission on one prefix, on a real server of each release.
 */
import {
  enableV2Auth,
  loadV2Keys,
  serverOrSkip,
  startEtcd,
  type AuthEnabled,
  type EtcdServer,
} from '@keyferry/servers';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { expectFailure, keysOf, openSource, readPrefix, versions } from './etcd-v2-fixture.ts';

for (const version of versions) {
  const available = await serverOrSkip(`etcd-${version}`);
  describe.skipIf(!available.ok)(`a user of ${version}${available.note}`, () => {
    let server: EtcdServer;
    let users: AuthEnabled;
    beforeAll(async () => {
      server = await startEtcd({ version, enableV2: true, unsafeNoFsync: true });
      const keys = ['/app/a', '/app/b/c', '/application/x', '/other'];
      await loadV2Keys(
        server.endpoints[0] ?? '',
        keys.map((key) => ({ key, value: 'v' })),
      );
      // Pattern `/app/*` alone.
      users = await enableV2Auth(server, { prefix: '/app/', access: 'read' });
    });
    afterAll(() => server.stop());

    it('with read permission on /app/* reads /app/', async () => {
      const store = openSource(server.endpoints, { auth: users.app, prefix: '/app/' });
      expect(await store.head()).toMatch(/^\d+$/);
      expect(keysOf((await readPrefix(store, '/app/')).records)).toEqual(['/app/a', '/app/b/c']);
      expect(keysOf((await readPrefix(store, '/app/b/')).records)).toEqual(['/app/b/c']);
      expect((await readPrefix(store, '/app/none/')).records).toEqual([]);
      expect(await store.head()).toMatch(/^\d+$/);
      expect(await store.describe()).toMatchObject({ kind: 'etcd-v2', members: 1 });
      await store.close();
    });

    it('who asks for /app, which needs its parent directory, is told to end it with a slash or ask for more', async () => {
      const store = openSource(server.endpoints, { auth: users.app });
      const says = /user app may read \/app\/ but not all below \//;
      await expectFailure(readPrefix(store, '/app'), 'store.permission-denied', says);
      await store.close();
    });

    it('whose permission covers nothing of what is asked is told both possible reasons', async () => {
      const store = openSource(server.endpoints, { auth: users.app });
      await expectFailure(readPrefix(store, '/other/'), 'store.auth-failed', /wrong, or the user may read nothing of/);
      await store.close();
    });

    it('with a wrong password is refused, and the password appears nowhere', async () => {
      const auth = { user: 'app', password: 'not-the-password' };
      const store = openSource(server.endpoints, { auth });
      await expectFailure(readPrefix(store, '/app/'), 'store.auth-failed', /^(?!.*not-the-password).*user app/);
      await expectFailure(store.head(), 'store.auth-failed', /user app/);
      await store.close();
    });

    it('who is none is told that one is needed', async () => {
      const store = openSource(server.endpoints);
      await expectFailure(readPrefix(store, '/app/'), 'store.auth-failed', /none is configured/);
      await store.close();
    });

    it('who is root reads everything', async () => {
      const store = openSource(server.endpoints, { auth: users.root });
      expect(keysOf((await readPrefix(store, '/')).records)).toContain('/other');
      await store.close();
    });
  });
}
