/** Reads a prefix of etcd v3 as most programs do: pages of 1,000 from behind the last key to the end of the prefix. */
import { openPlainEtcd, endOfPrefix } from '../workload/fill-v3.ts';
import { benchPrefix } from '../workload/records.ts';
import { childOptions, measured } from './measured.ts';

const { endpoint } = childOptions();
const etcd = openPlainEtcd(endpoint);
const { header } = await etcd.kv.range({ key: Buffer.from('a'), count_only: true }); // connected
await measured(async () => {
  const rangeEnd = Buffer.from(endOfPrefix(benchPrefix));
  let key = Buffer.from(benchPrefix);
  let keys = 0;
  for (;;) {
    const page = await etcd.kv.range({ key, range_end: rangeEnd, limit: 1000, revision: header.revision });
    keys += page.kvs.length;
    const last = page.kvs.at(-1);
    if (last === undefined || !page.more) return keys;
    key = Buffer.concat([last.key, Buffer.from([0])]);
  }
});
process.exit(0);
