/** Reads a prefix of etcd v3 through keyferry's own adapter, with the engine's page size. */
import { openEtcdV3Store } from '@keyferry/adapters/etcd-v3';
import { keyFromText, prefixRange } from '@keyferry/core';
import { benchPrefix } from '../workload/records.ts';
import { childOptions, measured } from './measured.ts';

const { endpoint } = childOptions();
const store = openEtcdV3Store({ name: 'source', endpoints: [endpoint], nowMs: () => Date.now() });
await store.head(); // connected
await measured(async () => {
  const range = prefixRange(keyFromText(benchPrefix));
  const view = await store.openView(range);
  let keys = 0;
  for await (const { records } of view.scan(range, { pageKeysMax: 1000 })) keys += records.length;
  await view.close();
  return keys;
});
process.exit(0);
