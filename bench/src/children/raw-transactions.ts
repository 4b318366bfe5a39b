/** The limit of a copy to etcd v3 through this client library: unconditional puts, 128 a transaction, nothing else. */
import { openPlainEtcd, writeTransactions } from '../workload/fill-v3.ts';
import { records, type BenchRecord } from '../workload/records.ts';
import { childOptions, measured } from './measured.ts';

const { endpoint, keys } = childOptions();
const all: BenchRecord[] = [...records(keys)];
const etcd = openPlainEtcd(endpoint);
await etcd.kv.range({ key: Buffer.from('a'), count_only: true }); // connected
await measured(() => writeTransactions(etcd, all));
process.exit(0);
