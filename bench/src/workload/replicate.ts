/** A migration of strategy `replicate` between two etcd v3, whose applications follow a switch in the target and acknowledge. */
import type { EtcdServer } from '@keyferry/servers';
import { BenchMigration } from './migration.ts';
import { endpointOf } from './servers.ts';

export const switchKey = '_keyferry/bench';

/** Longer than what is measured: no cutover here rests on silence. */
const requestLife = '10s';

export function createReplicate(source: EtcdServer, target: EtcdServer): Promise<BenchMigration> {
  return BenchMigration.create({
    source: { kind: 'etcd-v3', endpoints: [endpointOf(source)] },
    target: { kind: 'etcd-v3', endpoints: [endpointOf(target)] },
    online: {
      strategy: 'replicate',
      replicate: {
        freeze: { switch: { store: 'target', key: switchKey } },
        pauseMax: '30s',
        requestLife,
        instances: { min: 1 },
      },
    },
  });
}
