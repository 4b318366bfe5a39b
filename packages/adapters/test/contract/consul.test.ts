/** Goal: Consul keeps every promise of the ports. Method: core's suites, on a real server. */
import { serverOrSkip, startConsul, type ConsulServer } from '@keyferry/servers';
import { sourceContract, targetContract } from '@keyferry/core/testing';
import { afterAll, beforeAll, describe } from 'vitest';
import { harnessOf } from './consul-fixture.ts';

const available = await serverOrSkip('consul-1.8');

describe.skipIf(!available.ok)(`on 1.8${available.note}`, () => {
  let server: ConsulServer;
  beforeAll(async () => {
    server = await startConsul();
  });
  afterAll(() => server.stop());
  const harness = harnessOf(() => server);
  sourceContract('consul', harness);
  targetContract('consul', harness);
});
