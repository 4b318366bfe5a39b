/** What a short script does: one put after the other, each awaited, over a kept connection. */
import { consulKey, PlainConsul } from '../workload/consul.ts';
import { records, type BenchRecord } from '../workload/records.ts';
import { childOptions, measured } from './measured.ts';

const { endpoint, keys } = childOptions();
const all: BenchRecord[] = [...records(keys)];
const consul = new PlainConsul(endpoint, 1);
await measured(async () => {
  for (const record of all) await consul.put(`kv/${consulKey(record)}`, record.value);
  return keys;
});
process.exit(0);
