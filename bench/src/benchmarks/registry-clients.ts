/**
 * What clients see of a migration from Apicurio 2.6 to 3.3, there and back, through a HAProxy and an nginx: requests of the 2.6
 * libraries by kept and fresh connections, without a pause and without a retry.
 *
 * A write that is refused within the freeze is no failure and is counted by itself. A switch is no reload; where a balancer is
 * reloaded (adopted, drained, restored) a kept connection may be closed under a request, which is counted although libraries send
 * it again. So the step in which nothing but the switch happens is looked at alone.
 */
import {
  clientRequests,
  fillRegistry,
  seedRegistry,
  startApicurio,
  startRegistryLoad,
  type LoadFigures,
  type RegistryLoad,
} from '@keyferry/servers';
import { Samples, type Benchmark } from '../benchmark.ts';
import { RegistryMigration } from '../workload/registry-migration.ts';

const clients = { kept: 8, fresh: 2 };

export const registryClients: Benchmark = {
  rounds: 3,
  keys: 100,
  async run({ rounds, keys, note }) {
    const samples = new Samples();
    for (let round = 1; round <= rounds; round += 1) {
      note(`round ${round}`);
      await using old = await startApicurio({ version: '2.6' });
      await fillRegistry(old.endpoint, { versions: keys, hazards: false });
      const seed = await seedRegistry(old.endpoint, 'default', 'used-by-clients');
      const migration = await RegistryMigration.create(old, { bulk: false, confirm: ['freeze', 'switch'] });
      const loads = Object.entries(migration.urls).map(
        ([name, url]) => [name, startRegistryLoad({ url, requests: clientRequests(seed), ...clients })] as const,
      );
      try {
        const step = (what: string, work: () => Promise<unknown>) => watched(samples, loads, what, work);
        await migration.plan();
        await step('adopted', () => migration.applyUntilAsked());
        await step('frozen, and reads led to 3.3', () => migration.applyUntilAsked('freeze'));
        await step('switched', () => migration.applyToTheEnd('switch'));
        await step('led back', () => migration.goBack());
      } finally {
        await Promise.all(loads.map(([, load]) => load.stop()));
        await migration.remove();
      }
    }
    return {
      workload: `${keys.toLocaleString('en')} versions; through each balancer ${clients.kept} clients with a kept connection and ${clients.fresh} with fresh ones`,
      commands: {
        keyferry: 'keyferry apply; apply --confirm-phase freeze; apply --confirm-phase switch; rollback --yes',
      },
      series: samples.series(),
      ratios: [],
      versions: { 'Apicurio Registry': '2.6.13.Final and 3.3.3', HAProxy: '2.6.12', nginx: '1.22.1' },
      notMeasured: ['clients that send a request again whose connection was closed, as libraries do'],
    };
  },
};

type Loads = readonly (readonly [name: string, load: RegistryLoad])[];

/** What clients saw from the beginning of `work` to its end. */
async function watched(samples: Samples, loads: Loads, what: string, work: () => Promise<unknown>): Promise<void> {
  const before = loads.map(([, load]) => load.figures());
  await work();
  for (const [at, [name, load]] of loads.entries()) {
    const now = load.figures();
    const since = (field: Exclude<keyof LoadFigures, 'failures'>): number => now[field] - (before[at]?.[field] ?? 0);
    samples.add(`${name}, ${what}: requests`, 'requests', since('requests'));
    samples.add(`${name}, ${what}: failed`, 'requests', since('lost') + since('readsFailed') + since('writesFailed'));
    samples.add(`${name}, ${what}: writes refused`, 'requests', since('writesRefused'));
  }
}
