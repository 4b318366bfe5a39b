/**
 * The limit of a copy into Consul: transactions of 64 operations, guarded as keyferry's are (fence, epoch, mark, no sign
 * of tombstones; 60 records that must be absent), 16 in flight, and nothing else: no plan, no state, no outcome a record.
 */
import { consulKey, PlainConsul } from '../workload/consul.ts';
import { records, type BenchRecord } from '../workload/records.ts';
import { childOptions, measured } from './measured.ts';

const recordsEach = 60;
const inFlight = 16;

const { endpoint, keys } = childOptions();
const all: BenchRecord[] = [...records(keys)];
const consul = new PlainConsul(endpoint, inFlight);
const indexOf = async (key: string): Promise<number> => {
  await consul.put(`kv/${key}`, 'guard');
  const [entry] = JSON.parse(await consul.get(`kv/${key}`)) as readonly { ModifyIndex: number }[];
  return entry?.ModifyIndex ?? 0;
};
const guards = [
  { KV: { Verb: 'check-index', Key: 'own/fence', Index: await indexOf('own/fence') } },
  { KV: { Verb: 'check-index', Key: 'own/epoch', Index: await indexOf('own/epoch') } },
];
await measured(async () => {
  let next = 0;
  const work = async (): Promise<void> => {
    while (next < all.length) {
      const at = next;
      next += recordsEach;
      const operations = all.slice(at, at + recordsEach).map((record) => {
        const [Key, Value] = [consulKey(record), Buffer.from(record.value).toString('base64')];
        return { KV: { Verb: 'cas', Key, Value, Index: 0 } };
      });
      const mark = { KV: { Verb: 'set', Key: `own/mark/${at}`, Value: '' } };
      const sign = { KV: { Verb: 'check-not-exists', Key: 'own/entombed' } };
      await consul.put('txn', JSON.stringify([...guards, mark, sign, ...operations]));
    }
  };
  await Promise.all(Array.from({ length: inFlight }, work));
  return keys;
});
process.exit(0);
