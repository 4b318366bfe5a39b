/**
 * Goal: each member is asked by itself, whatever the configuration names, and one that cannot be asked is an error.
 * Method: three real members, of which one is stopped, and then a second one.
 */
import { enableV2Auth, serverOrSkip, startEtcd, type EtcdServer } from '@keyferry/servers';
import { membersVerdict } from '@keyferry/core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { expectFailure, openSource, readPrefix, send } from './etcd-v2-fixture.ts';

const available = await serverOrSkip('etcd-3.4');

describe.skipIf(!available.ok)(`three members${available.note}`, () => {
  let server: EtcdServer;
  beforeAll(async () => {
    server = await startEtcd({ version: '3.4', members: 3, enableV2: true });
    await send(server.endpoints[0] ?? '', 'PUT', '/app/a', { value: 'v' });
  });
  afterAll(() => server.stop());

  it.each([
    { name: 'all endpoints', count: 3 },
    { name: 'one endpoint', count: 1 },
  ])('agree, asked through $name', async ({ count }) => {
    const store = openSource(server.endpoints.slice(0, count));
    const members = (await store.readMembers()) ?? [];
    expect(members.map(({ member }) => member).toSorted()).toEqual(['m1', 'm2', 'm3']);
    const [first, ...rest] = members;
    expect(first && membersVerdict([first, ...rest])).toMatchObject({ kind: 'converged' });
    expect(members.every(({ raftTerm }) => raftTerm > 0n)).toBe(true);
    expect(await store.describe()).toMatchObject({ members: 3 });
    await store.close();
  });

  it('are of one identity, whichever is asked', async () => {
    const identities = await Promise.all(
      server.endpoints.map(async (endpoint) => {
        const store = openSource([endpoint]);
        const { identity } = await store.describe();
        await store.close();
        return identity;
      }),
    );
    expect(new Set(identities).size).toBe(1);
  });

  it('are asked without a user who may not read where nothing else is known', async () => {
    const { app } = await enableV2Auth(server, { prefix: '/app/', access: 'read' });
    const store = openSource(server.endpoints, { auth: app });
    expect(await store.readMembers()).toHaveLength(3);
    await readPrefix(store, '/app/');
    expect(await store.readMembers()).toHaveLength(3);
    await store.close();
  });

  it('of which one is stopped can be read, but not compared', async () => {
    const [, second, third] = server.members;
    const auth = { user: 'app', password: 'app-password' };
    await third?.stop();
    const store = openSource([third?.endpoint ?? '', ...server.endpoints.slice(0, 2)], { auth });
    expect((await readPrefix(store, '/app/')).records).toHaveLength(1);
    await expectFailure(store.readMembers(), 'store.unreachable', /member m3 cannot be asked.*ECONNREFUSED/);

    await second?.stop();
    await expectFailure(readPrefix(store, '/app/'), 'store.no-leader', /errorCode 300/);
    await expectFailure(store.head(), 'store.no-leader', /errorCode 300/);
    await store.close();
  });
});
