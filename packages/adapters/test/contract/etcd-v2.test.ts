/** Goal: etcd v2 keeps every promise of a source. Method: core's suite, on a real server of each release. */
import { serverOrSkip, startEtcd, type EtcdServer } from '@keyferry/servers';
import { feedContract, sourceContract } from '@keyferry/core/testing';
import { afterAll, beforeAll, describe } from 'vitest';
import { harnessOf, versions } from './etcd-v2-fixture.ts';

for (const version of versions) {
  const available = await serverOrSkip(`etcd-${version}`);
  describe.skipIf(!available.ok)(`on ${version}${available.note}`, () => {
    let server: EtcdServer;
    beforeAll(async () => {
      server = await startEtcd({ version, enableV2: true, unsafeNoFsync: true });
    });
    afterAll(() => server.stop());
    const harness = harnessOf(() => server);
    sourceContract('etcd v2', harness);
    feedContract('etcd v2', harness);
  });
}
