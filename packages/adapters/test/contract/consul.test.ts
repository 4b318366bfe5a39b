/** Goal: Consul keeps every promise of the ports. Method: core's suites, on a real server. */
import { consulVersions, serverOrSkip, startConsul, type ConsulServer } from '@keyferry/servers';
import { feedContract, sourceContract, tailContract, targetContract, targetLockContract } from '@keyferry/core/testing';
import { afterAll, beforeAll, describe } from 'vitest';
import { harnessOf, openFixture } from './consul-fixture.ts';

for (const version of consulVersions) {
  const available = await serverOrSkip(`consul-${version}`);
  describe.skipIf(!available.ok)(`on ${version}${available.note}`, () => {
    let server: ConsulServer;
    beforeAll(async () => {
      server = await startConsul({ version });
    });
    afterAll(() => server.stop());
    const harness = harnessOf(() => server);
    sourceContract('consul', harness);
    targetContract('consul', harness);
    tailContract('consul', harness);
    feedContract('consul', {
      ...harness,
      open: async (records) => {
        const fixture = await openFixture(server, records, { feedFloorMs: 10 });
        const { application } = fixture;
        return { ...fixture, putAtOnce: (puts) => application.write(puts.map((put) => ({ put }))) };
      },
    });
    targetLockContract('consul', async () => {
      const { store, openAnother, close } = await openFixture(server, []);
      const { lock } = store;
      const { lock: another } = await openAnother();
      if (lock === undefined || another === undefined)
        throw new Error('a store of Consul keeps locks unless told not to');
      return { lock, another, close };
    });
  });
}
