/**
 * What the tests of etcd v2 share: sources on a real server, wiped between tests, and an application that writes to it
 * over HTTP. One server serves all tests of a version: starting one costs more than most of the tests.
 */
import { request, v2KeyUrl, type EtcdServer } from '@keyferry/servers';
import {
  KeyferryError,
  keyFromText,
  keyToText,
  prefixRange,
  type Code,
  type Key,
  type KeyRange,
  type NotCarried,
  type SourceStore,
  type StoredRecord,
  type StoreView,
} from '@keyferry/core';
import type { Change, FeedFixture, FeedHarness, SeedRecord, SourceHarness } from '@keyferry/core/testing';
import { expect } from 'vitest';
import { openEtcdV2Store, type EtcdV2Options } from '../../src/etcd-v2/index.ts';

export const versions = ['3.3', '3.4', '3.5'] as const;

type Fixture = FeedFixture & { readonly store: SourceStore };

export function harnessOf(server: () => EtcdServer): SourceHarness & FeedHarness {
  return {
    key: (name) => keyFromText(`/contract/${name}`),
    nowMs: () => Date.now(),
    // A tree of JSON strings; expiries are set in whole seconds.
    traits: { binaryKeys: false, binaryValues: false, parentKeys: false, expiryPrecisionMs: 1500, lawRuns: 10 },
    open: (records) => openFixture(server(), records),
  };
}

export function openSource(endpoints: readonly string[], options: Partial<EtcdV2Options> = {}) {
  return openEtcdV2Store({ name: 'old', endpoints, nowMs: () => Date.now(), ...options });
}

export async function openFixture(
  server: EtcdServer,
  records: readonly SeedRecord[],
): Promise<Fixture & { readonly openAnother: () => Promise<SourceStore> }> {
  const endpoint = server.endpoints[0] ?? '';
  await wipe(endpoint);
  const change = async (changes: readonly Change[]): Promise<void> => {
    for (const each of changes) {
      if ('put' in each) await put(endpoint, each.put);
      else await send(endpoint, 'DELETE', keyToText(each.delete) ?? '', {});
    }
  };
  await change(records.map((record) => ({ put: record })));
  const stores = [openSource(server.endpoints)];
  return {
    store: stores[0] as SourceStore,
    change,
    deleteRange: ({ start }) =>
      send(endpoint, 'DELETE', keyToText(start)?.replace(/\/$/, '') ?? '', { recursive: 'true' }),
    // As long as it keeps 1,000 events of all keys.
    loseHistory: async () => {
      const one = () => send(endpoint, 'PUT', '/elsewhere', { value: 'x' });
      for (let n = 0; n < 1000; n += 20) await Promise.all(Array.from({ length: 21 }, one));
    },
    openAnother: () => {
      const another = openSource(server.endpoints);
      stores.push(another);
      return Promise.resolve(another);
    },
    close: async () => {
      for (const store of stores) await store.close();
    },
  };
}

/** Everything that the API lists. Hidden names have to be deleted by whoever made them. */
export async function wipe(endpoint: string): Promise<void> {
  const { body } = await request(v2KeyUrl(endpoint, '/'));
  const { node } = JSON.parse(body) as { node: { nodes?: readonly { key: string }[] } };
  for (const { key } of node.nodes ?? []) await send(endpoint, 'DELETE', key, { recursive: 'true' });
}

/** One request of an application; throws unless it was accepted. Deleting what is not there is accepted too. */
export async function send(
  endpoint: string,
  method: 'PUT' | 'DELETE',
  key: string,
  fields: Readonly<Record<string, string>>,
): Promise<void> {
  const headers = { 'content-type': 'application/x-www-form-urlencoded' };
  const body = new URLSearchParams(fields).toString();
  const url = v2KeyUrl(endpoint, key);
  const reply =
    method === 'DELETE'
      ? await request(`${url}?${body}`, { method })
      : await request(url, { method, headers, body, timeoutMs: 20_000 });
  if (method === 'DELETE' && reply.status === 404) return;
  expect(reply.status, `${method} ${key}: ${reply.body}`).toBeLessThan(300);
}

function put(endpoint: string, { key, value, ttlMs }: SeedRecord): Promise<void> {
  const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(value);
  const ttl = ttlMs === null ? {} : { ttl: String(Math.ceil(ttlMs / 1000)) };
  return send(endpoint, 'PUT', keyToText(key) ?? '', { value: text, ...ttl });
}

export interface Content {
  readonly records: readonly StoredRecord[];
  readonly notCarried: readonly NotCarried[];
}

export async function contentOfView(view: StoreView, range: KeyRange, pageKeysMax = 3): Promise<Content> {
  const records: StoredRecord[] = [];
  const notCarried: NotCarried[] = [];
  for await (const page of view.scan(range, { pageKeysMax })) {
    records.push(...page.records);
    notCarried.push(...page.notCarried);
  }
  return { records, notCarried };
}

/** All that a prefix holds, read through a view of its own. */
export async function readPrefix(store: SourceStore, prefix: string): Promise<Content> {
  const range = prefixRange(keyFromText(prefix));
  const view = await store.openView(range);
  try {
    return await contentOfView(view, range);
  } finally {
    await view.close();
  }
}

export const keysOf = (entries: readonly { readonly key: Key }[]): readonly string[] =>
  entries.map(({ key }) => keyToText(key) ?? '');

/** The failure's code, and its text for a closer look. */
export async function expectFailure(failing: Promise<unknown>, code: Code, detail: RegExp): Promise<void> {
  const error: unknown = await failing.then(
    () => 'no failure',
    (reason: unknown) => reason,
  );
  const said = error instanceof KeyferryError ? `${error.code}: ${error.message}` : String(error);
  expect(said).toMatch(new RegExp(`^${code}: `));
  expect(said.slice(code.length + 2)).toMatch(detail);
}
