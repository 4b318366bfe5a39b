/** Digests of records as plan and verify take them: key and value hashed, and added to a running sum. */
import { DigestSum, keyFromText, RecordHasher } from '@keyferry/core';
import { records } from '../workload/records.ts';
import { childOptions, measured } from './measured.ts';

/** As many as stay in the cache of a core, as a page that was just read does; gone through again and again. */
const distinct = 10_000;

const { keys } = childOptions();
const all = [...records(Math.min(keys, distinct))].map(({ key, value }) => ({
  key: keyFromText(key),
  value: new Uint8Array(Buffer.from(value)),
  expiresAtMs: null,
}));
await measured(() => {
  const hasher = new RecordHasher('00112233445566778899aabbccddeeff');
  const sum = new DigestSum();
  for (let done = 0; done < keys; done += all.length) {
    for (const record of all) sum.add(hasher.hash(record));
  }
  return Promise.resolve(sum.value().count);
});
