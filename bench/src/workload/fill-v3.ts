/** Plain etcd v3, without keyferry: fills a store, and writes and reads it as fast as the client library lets it. */
import { Etcd3 } from 'etcd3';
import { benchPrefix, records, type BenchRecord } from './records.ts';

/** `--max-txn-ops` at its default. */
export const transactionKeys = 128;
const inFlight = 16;
const pageKeys = 1000;

export async function fillV3(endpoint: string, count: number): Promise<void> {
  const etcd = openPlainEtcd(endpoint);
  try {
    await writeTransactions(etcd, records(count));
  } finally {
    etcd.close();
  }
}

export function openPlainEtcd(endpoint: string): Etcd3 {
  return new Etcd3({ hosts: endpoint, grpcOptions: { 'grpc.max_receive_message_length': -1 } });
}

/** Unconditional puts in full transactions, several under way at once. */
export async function writeTransactions(etcd: Etcd3, source: Iterable<BenchRecord>): Promise<number> {
  const queue = source[Symbol.iterator]();
  let written = 0;
  const work = async (): Promise<void> => {
    for (;;) {
      const success = [];
      for (let at = queue.next(); at.done !== true; at = queue.next()) {
        const { key, value } = at.value;
        success.push({ request_put: { key: Buffer.from(key), value: Buffer.from(value) } });
        if (success.length === transactionKeys) break;
      }
      if (success.length === 0) return;
      await etcd.kv.txn({ success });
      written += success.length;
    }
  };
  await Promise.all(Array.from({ length: inFlight }, work));
  return written;
}

/** As most programs list: each page as the store is when it is asked for. */
export async function* pagesOf(endpoint: string): AsyncGenerator<readonly BenchRecord[]> {
  const etcd = openPlainEtcd(endpoint);
  try {
    let key = Buffer.from(benchPrefix);
    for (;;) {
      const page = await etcd.kv.range({ key, range_end: Buffer.from(endOfPrefix(benchPrefix)), limit: pageKeys });
      yield page.kvs.map((each) => ({ key: each.key.toString(), value: each.value.toString() }));
      const last = page.kvs.at(-1);
      if (last === undefined || !page.more) return;
      key = Buffer.concat([last.key, Buffer.from([0])]);
    }
  } finally {
    etcd.close();
  }
}

/** The plain copy script: lists and puts, page by page. */
export async function copyByScript(from: string, to: string): Promise<void> {
  const etcd = openPlainEtcd(to);
  try {
    for await (const page of pagesOf(from)) await writeTransactions(etcd, page);
  } finally {
    etcd.close();
  }
}

export async function countV3(endpoint: string): Promise<number> {
  const etcd = openPlainEtcd(endpoint);
  try {
    const range = { key: Buffer.from(benchPrefix), range_end: Buffer.from(endOfPrefix(benchPrefix)) };
    return Number((await etcd.kv.range({ ...range, count_only: true })).count);
  } finally {
    etcd.close();
  }
}

/** For an ASCII prefix. */
export function endOfPrefix(prefix: string): string {
  return prefix.slice(0, -1) + String.fromCharCode(prefix.charCodeAt(prefix.length - 1) + 1);
}
