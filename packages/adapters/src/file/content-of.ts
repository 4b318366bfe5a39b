/** The content of a file of each format, from records in byte order. Memory is a page and the open directories. */
import { invariant, keyToText, type RecordPage, type StoredRecord } from '@keyferry/core';
import { RecordSpool } from '../spool/record-spool.ts';
import { recordLine } from './record-line.ts';
import type { FileFormat } from './source.ts';
import { TreeJson } from './tree-json.ts';
import { fromTreeKey, toTreeKey } from './tree-order.ts';

type Pages = AsyncIterable<RecordPage>;

export function contentOf(format: FileFormat, pages: Pages, nowMs: number): AsyncGenerator<string> {
  return format === 'ndjson' ? lines(pages) : tree(pages, nowMs);
}

async function* lines(pages: Pages): AsyncGenerator<string> {
  for await (const { records } of pages) for (const record of records) yield recordLine(record);
}

/** A tree needs another order than bytes have: all of it goes through a spool. */
async function* tree(pages: Pages, nowMs: number): AsyncGenerator<string> {
  const spool = new RecordSpool();
  try {
    for await (const { records } of pages) {
      for (const record of records) spool.add({ ...record, key: toTreeKey(record.key) });
    }
    await spool.seal();
    const json = new TreeJson(nowMs);
    const everything = { start: '' as StoredRecord['key'], end: null };
    for await (const { records } of spool.scan(everything, { pageKeysMax: 1000 })) {
      for (const { key, value, expiresAtMs } of records) {
        const text = Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString('utf8');
        const path = keyToText(fromTreeKey(key));
        invariant(path !== null, 'a key that has no form in a tree was put');
        yield json.record({ key: path, value: text, expiresAtMs });
      }
    }
    yield json.end();
  } finally {
    spool.close();
  }
}
