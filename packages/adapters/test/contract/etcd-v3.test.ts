/** Goal: etcd v3 keeps every promise of the ports. Method: core's suites, on a real server of each release. */
import { serverOrSkip, startEtcd, type EtcdServer } from '@keyferry/servers';
import { feedContract, sourceContract, tailContract, targetContract } from '@keyferry/core/testing';
import { afterAll, beforeAll, describe } from 'vitest';
import { harnessOf, versions } from './etcd-v3-fixture.ts';

for (const version of versions) {
  const available = await serverOrSkip(`etcd-${version}`);
  describe.skipIf(!available.ok)(`on ${version}${available.note}`, () => {
    let server: EtcdServer;
    beforeAll(async () => {
      server = await startEtcd({ version, unsafeNoFsync: true });
    });
    afterAll(() => server.stop());
    const harness = harnessOf(() => server);
    sourceContract('etcd v3', harness);
    targetContract('etcd v3', harness);
    feedContract('etcd v3', harness);
    tailContract('etcd v3', harness);
  });
}
