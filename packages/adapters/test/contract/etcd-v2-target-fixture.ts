/**
 * What the tests of etcd v2 as a target share: a target on a real server, wiped between tests with keyferry's own keys,
 * and an application that writes to it over HTTP.
 */
import { request, v2KeyUrl, type EtcdServer } from '@keyferry/servers';
import type { Key } from '@keyferry/core';
import type { FeedHarness, SeedRecord, TargetFixture, TargetHarness } from '@keyferry/core/testing';
import { ControlKeys } from '../../src/etcd-v2/control-keys.ts';
import { openEtcdV2Target, type EtcdV2TargetOptions } from '../../src/etcd-v2/index.ts';
import { harnessOf, openFixture, send } from './etcd-v2-fixture.ts';

export type EtcdV2Store = ReturnType<typeof openEtcdV2Target>;
export interface EtcdV2Fixture extends Omit<TargetFixture, 'store' | 'openAnother'> {
  readonly store: EtcdV2Store;
  readonly openAnother: (options?: Partial<EtcdV2TargetOptions>) => Promise<EtcdV2Store>;
}

export function targetHarnessOf(server: () => EtcdServer): TargetHarness & FeedHarness {
  return { ...harnessOf(server), open: (records) => openTargetFixture(server(), records) };
}

export async function openTargetFixture(
  server: EtcdServer,
  records: readonly SeedRecord[],
  options: Partial<EtcdV2TargetOptions> = {},
): Promise<EtcdV2Fixture> {
  const endpoint = server.endpoints[0] ?? '';
  await send(endpoint, 'DELETE', '/_keyferry', { recursive: 'true' });
  const source = await openFixture(server, records);
  await source.store.close();
  const stores: EtcdV2Store[] = [];
  const open = (more: Partial<EtcdV2TargetOptions> = {}): EtcdV2Store => {
    const store = openEtcdV2Target({
      name: 'test',
      endpoints: server.endpoints,
      nowMs: () => Date.now(),
      ...options,
      ...more,
    });
    stores.push(store);
    return store;
  };
  return {
    store: open(),
    openAnother: async (more) => open(more),
    change: source.change,
    putTombstone: async (migration, key) => {
      await send(endpoint, 'DELETE', key, {});
      await send(endpoint, 'PUT', new ControlKeys('/_keyferry/' as Key, migration).tomb(key), { value: '' });
    },
    close: async () => {
      for (const store of stores) await store.close();
    },
  };
}

/** All keys that a v2 tree holds below a directory, directories with a slash at their end; hidden names only if named. */
export async function treeOf(endpoint: string, directory: string): Promise<readonly string[]> {
  const { status, body } = await request(`${v2KeyUrl(endpoint, directory)}?recursive=true&quorum=true`);
  if (status !== 200) return [];
  const names: string[] = [];
  const walk = (node: Node): void => {
    if (node.key !== undefined) names.push(node.dir === true ? `${node.key}/` : node.key);
    for (const child of node.nodes ?? []) walk(child);
  };
  walk((JSON.parse(body) as { node: Node }).node);
  return names.toSorted();
}

interface Node {
  readonly key?: string;
  readonly dir?: boolean;
  readonly nodes?: readonly Node[];
}
