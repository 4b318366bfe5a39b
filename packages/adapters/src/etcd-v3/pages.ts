/**
 * Reads a range page by page: the one loop under views, undo lists and control keys.
 *
 * The next page is on its way while the caller handles the current one, and never more than that one: reading and
 * handling overlap, memory stays at two pages. A failure of the page ahead is kept until that page is wanted.
 */
import type { IRangeRequest, IRangeResponse } from 'etcd3';
import type { KeyRange } from '@keyferry/core';
import type { EtcdClient } from './client.ts';
import { keyFromBuffer, keyFromSpan, rangeToWire } from './codec.ts';
import { ScanWindow, type WindowAnswer } from './scan-window.ts';
import type { RangePage } from './wire/range-page.ts';

export interface PageOptions {
  readonly pageKeysMax: number;
  /** All pages show the store at this revision; null: each shows it as it is when it is read. */
  readonly revision: string | null;
  readonly keysOnly: boolean;
}

/** Pages that hold something, in order; `handle` runs before the next page is asked for, and is part of the read ahead. */
export function readPages<T>(
  client: EtcdClient,
  range: KeyRange,
  options: PageOptions,
  handle: (answer: IRangeResponse) => T | Promise<T>,
): AsyncGenerator<T, void, undefined> {
  return pagesOf(range, options, (request, position) => client.range(request, position), windowAnswer, handle);
}

/** As `readPages`, without an object for each record. */
export function readPackedPages<T>(
  client: EtcdClient,
  range: KeyRange,
  options: PageOptions,
  handle: (answer: RangePage) => T | Promise<T>,
): AsyncGenerator<T, void, undefined> {
  return pagesOf(range, options, (request, position) => client.rangePage(request, position), packedAnswer, handle);
}

async function* pagesOf<A, T>(
  range: KeyRange,
  options: PageOptions,
  ask: (request: IRangeRequest, position?: string) => Promise<A>,
  answerOf: (answer: A) => WindowAnswer,
  handle: (answer: A) => T | Promise<T>,
): AsyncGenerator<T, void, undefined> {
  const window = new ScanWindow(range, options.pageKeysMax);
  let ahead = readAhead();
  while (ahead !== null) {
    const page = await ahead;
    ahead = readAhead();
    ahead?.catch(() => {}); // seen when that page is wanted
    if (page !== null) yield page.handled;
  }

  function readAhead(): Promise<{ readonly handled: T } | null> | null {
    const request = window.next();
    const wire = request === null ? null : rangeToWire(request.range);
    return request === null || wire === null ? null : readOne({ ...wire, limit: request.limit });
  }

  async function readOne(asked: { key: Buffer; range_end: Buffer; limit: number }): Promise<{ handled: T } | null> {
    const { revision, keysOnly: keys_only } = options;
    const answer = await (revision === null
      ? ask({ ...asked, keys_only })
      : ask({ ...asked, keys_only, revision }, revision));
    const said = answerOf(answer);
    window.take(said);
    return said.records === 0 ? null : { handled: await handle(answer) };
  }
}

function windowAnswer({ kvs, more, count }: IRangeResponse): WindowAnswer {
  let bytes = 0;
  for (const { key, value } of kvs) bytes += key.length + value.length;
  const first = kvs[0];
  const last = kvs.at(-1);
  return {
    first: first === undefined ? null : keyFromBuffer(first.key),
    last: last === undefined ? null : keyFromBuffer(last.key),
    records: kvs.length,
    bytes,
    more,
    count: Number(count),
  };
}

function packedAnswer({ bytes, records, spans, more, count }: RangePage): WindowAnswer {
  const keyAt = (index: number) => keyFromSpan(bytes, spans[4 * index] as number, spans[4 * index + 1] as number);
  return {
    first: records === 0 ? null : keyAt(0),
    last: records === 0 ? null : keyAt(records - 1),
    records,
    bytes: bytes.length,
    more,
    count,
  };
}
