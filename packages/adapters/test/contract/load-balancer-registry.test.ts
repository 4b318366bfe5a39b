/**
 * Goal: with real registries behind real balancers, clients of 2.6 notice of a migration what they must and nothing else:
 * their reads never fail, their writes are refused with 405 and only inside the freeze; and what a freeze lets through
 * changes nothing in either registry.
 * Method: 2.6.13 filled by its API, exported, and imported into 3.3.3 while frozen; clients of the 2.6 libraries' request
 * patterns at work through nginx and through HAProxy at once, from before the freeze until after the way back.
 */
import type { TrafficPhase } from '@keyferry/core';
import {
  type ApicurioServer,
  clientRequests,
  type LoadFigures,
  type RegistryLoad,
  seedRegistry,
  type SeededRegistry,
  serverOrSkip,
  startApicurio,
  startRegistryLoad,
  waitUntil,
} from '@keyferry/servers';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { importArchive, OldRegistry } from './apicurio-fixture.ts';
import { adopt, ask, lead, type Stage, startStage, stay } from './load-balancer-fixture.ts';

const needed = await Promise.all(
  (['apicurio-2.6', 'apicurio-3.3', 'nginx-1.22', 'haproxy-2.6'] as const).map(async (kind) => serverOrSkip(kind)),
);
const missing = needed.find(({ ok }) => !ok);

describe.skipIf(missing !== undefined)(`registries behind balancers${missing?.note ?? ''}`, () => {
  let two: ApicurioServer;
  let three: ApicurioServer;
  let seed: SeededRegistry;
  let stages: readonly Stage[] = [];

  beforeAll(async () => {
    [two, three] = await Promise.all([startApicurio({ version: '2.6' }), startApicurio({ version: '3.3' })]);
    seed = await seedRegistry(two.endpoint, 'default', 'orders');
    const addresses = { two: new URL(two.endpoint).host, three: new URL(three.endpoint).host };
    stages = await Promise.all((['nginx', 'haproxy'] as const).map((kind) => startStage(kind, () => ({}), addresses)));
    for (const stage of stages) await adopt(stage);
  });
  afterAll(async () => {
    await Promise.all(stages.map((stage) => stage.close()));
    await Promise.all([two.stop(), three.stop()]);
  });

  const leadAll = async (phase: TrafficPhase): Promise<void> => {
    for (const stage of stages) {
      await lead(stage, phase);
      expect(await stage.balancer.leakTest(phase, stay)).toMatchObject({ leaks: 0, detail: null });
    }
  };
  const url = (stage: Stage): string => stage.server.endpoints[0] ?? '';

  it('shows clients a migration as refused writes inside the freeze, and as nothing else', async () => {
    const loads: readonly RegistryLoad[] = stages.map((stage) =>
      startRegistryLoad({ url: url(stage), requests: clientRequests(seed), kept: 2, fresh: 1 }),
    );
    const all = (pick: (figures: LoadFigures) => number): readonly number[] =>
      loads.map((load) => pick(load.figures()));
    const more = async (): Promise<void> => {
      const soFar = all(({ requests }) => requests);
      const enough = (): boolean =>
        all(({ requests }) => requests).every((count, index) => count > (soFar[index] ?? 0) + 60);
      expect(await waitUntil(enough, 90_000)).toBe(true);
    };
    await more();
    expect(all(({ writesRefused }) => writesRefused)).toEqual([0, 0]);
    for (const stage of stages) await stage.balancer.shift('v2-ro', stay);
    await more();
    const archive = await new OldRegistry(two).export();
    expect(await importArchive(three, archive)).toBeLessThan(300);
    for (const phase of ['v3-ro', 'v3-rw'] as const) {
      for (const stage of stages) await stage.balancer.shift(phase, stay);
      await more();
    }
    const refused = all(({ writesRefused }) => writesRefused);
    await more();
    // The last refusals were under way when the freeze ended; from here on there are none.
    expect(all(({ writesRefused }) => writesRefused)).toEqual(refused);
    for (const stage of stages)
      expect((await ask(url(stage), 'GET', '/apis/registry/v2/system/info')).body).toContain('3.3');
    const figures = await Promise.all(loads.map((load) => load.stop()));
    for (const each of figures) {
      expect(Object.fromEntries(each.failures)).toEqual({});
      expect(each).toMatchObject({ lost: 0, readsFailed: 0, writesFailed: 0 });
      expect(each.writesRefused).toBeGreaterThan(0);
    }
  });

  it.each(['v2-ro', 'v3-ro'] as const)('lets nothing through in phase %s that changes a registry', async (phase) => {
    await leadAll(phase);
    const registry = phase === 'v2-ro' ? two : three;
    const before = await totals(registry, seed);
    const schema = JSON.stringify({ type: 'record', name: 'New', fields: [] });
    const v2 = '/apis/registry/v2/groups/default/artifacts/orders';
    const subject = '/apis/ccompat/v7/subjects/orders';
    const lookups: readonly (readonly [string, string, string])[] = [
      ['POST', `${v2}/meta`, schema],
      ['PUT', `${v2}/test`, schema],
      ['POST', '/apis/registry/v2/search/artifacts', schema],
      ['POST', subject, JSON.stringify({ schema })],
      ['POST', '/apis/ccompat/v7/compatibility/subjects/orders/versions/latest', JSON.stringify({ schema })],
      ['POST', '/apis/registry/v3/search/versions', schema],
      [
        'POST',
        '/apis/registry/v3/groups/default/artifacts?dryRun=true',
        JSON.stringify({
          artifactId: 'dry',
          artifactType: 'AVRO',
          firstVersion: { content: { content: schema, contentType: 'application/json' } },
        }),
      ],
    ];
    for (const stage of stages) {
      for (const [method, target, body] of lookups) {
        const answer = await ask(url(stage), method, target, body, { 'content-type': 'application/json' });
        // By the registry, whatever it thinks of it, and not by the balancer.
        expect({ target, refused: answer.headers['keyferry-refused'] }).toEqual({ target, refused: undefined });
        expect(answer.status).toBeLessThan(500);
      }
    }
    expect(await totals(registry, seed)).toEqual(before);
  });

  it.each([
    ['nginx', 0],
    ['haproxy', 1],
  ] as const)(
    'names clients of an API that 3.x no longer has, and how it went, from the log of %s',
    async (kind, at) => {
      const stage = stages[at];
      if (stage === undefined) throw new TypeError('no stage');
      await lead(stage, 'v3-ro');
      const since = Date.now() - 3_600_000;
      await ask(url(stage), 'GET', '/apis/ccompat/v6/subjects');
      await ask(url(stage), 'POST', '/apis/registry/v2/groups/default/artifacts', '{}');
      const seen = async (): Promise<boolean> =>
        (await stage.balancer.apiUse(since))?.some(({ prefix }) => prefix === '/apis/ccompat/v6') === true;
      expect(await waitUntil(seen, 30_000)).toBe(true);
      expect(await stage.balancer.apiUse(since)).toContainEqual(
        expect.objectContaining({
          balancer: 'lb-1',
          prefix: '/apis/ccompat/v6',
          method: 'GET',
          requests: 1,
          clients: [{ address: '127.0.0.1', requests: 1 }],
        }),
      );
      const traffic = await stage.balancer.traffic(since);
      expect(traffic?.answers['405']).toBeGreaterThan(0);
      expect(traffic?.answers['2xx']).toBeGreaterThan(60);
      expect(traffic?.answers['5xx']).toBe(0);
      // The combined format of nginx says no times; HAProxy's does.
      expect(traffic?.p99Ms).toEqual(kind === 'nginx' ? null : expect.any(Number));
      expect(await stage.balancer.apiUse(Date.now() + 3_600_000)).toEqual([]);
    },
  );
});

/** What any write would have moved. */
async function totals(server: ApicurioServer, { artifact }: SeededRegistry): Promise<unknown> {
  const artifacts = await ask(server.endpoint, 'GET', '/apis/registry/v2/search/artifacts?limit=100');
  const versions = await ask(server.endpoint, 'GET', `/apis/registry/v2/groups/default/artifacts/${artifact}/versions`);
  expect(artifacts.status).toBe(200);
  return [artifacts.body, versions.body];
}
