/** Goal: etcd v2 keeps every promise of a target that it makes. Method: core's suite, on a real server of each release. */
import { serverOrSkip, startEtcd, type EtcdServer } from '@keyferry/servers';
import { feedContract, tailContract, targetContract } from '@keyferry/core/testing';
import { afterAll, beforeAll, describe } from 'vitest';
import { versions } from './etcd-v2-fixture.ts';
import { targetHarnessOf } from './etcd-v2-target-fixture.ts';

for (const version of versions) {
  const available = await serverOrSkip(`etcd-${version}`);
  describe.skipIf(!available.ok)(`on ${version}${available.note}`, () => {
    let server: EtcdServer;
    beforeAll(async () => {
      server = await startEtcd({ version, enableV2: true, unsafeNoFsync: true });
    });
    afterAll(() => server.stop());
    const harness = targetHarnessOf(() => server);
    targetContract('etcd v2', harness);
    tailContract('etcd v2', harness);
    feedContract('etcd v2 as a target', harness);
  });
}
