/** Reads the v2 keys of a data directory through keyferry's own adapter, sorted, with the engine's page size. */
import { openEtcdV2DatadirStore } from '@keyferry/adapters/etcd-v2-datadir';
import { keyFromText, prefixRange } from '@keyferry/core';
import { benchPrefix } from '../workload/records.ts';
import { childOptions, measured } from './measured.ts';

const { dataDir } = childOptions();
const options = { walDir: null, upTo: 'end', hidden: 'leave-out', nowMs: () => Date.now() } as const;
const store = openEtcdV2DatadirStore({ name: 'source', dataDir, ...options });
await measured(async () => {
  const range = prefixRange(keyFromText(benchPrefix));
  const view = await store.openView(range);
  let keys = 0;
  for await (const { records } of view.scan(range, { pageKeysMax: 1000 })) keys += records.length;
  await view.close();
  return keys;
});
