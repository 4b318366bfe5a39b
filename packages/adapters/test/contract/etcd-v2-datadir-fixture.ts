/** What the tests of data directories share: the nodes that a server answers, those that its files hold, and a source on them. */
import { cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { SourceStore } from '@keyferry/core';
import { waitUntil } from '@keyferry/servers';
import { expect } from 'vitest';
import { openEtcdV2DatadirStore, type EtcdV2DatadirOptions } from '../../src/etcd-v2-datadir/index.ts';
import { findDataDirectory } from '../../src/etcd-v2-datadir/layout.ts';
import { replay, type Replayed } from '../../src/etcd-v2-datadir/replay.ts';
import type { V2Node } from '../../src/etcd-v2-datadir/v2-node.ts';
import type { V2Tree } from '../../src/etcd-v2-datadir/v2-tree.ts';
import { send } from './etcd-v2-datadir-workload.ts';

/** A node as both sides state it. */
export interface FlatNode {
  readonly key: string;
  /** Null: a directory. */
  readonly value: string | null;
  readonly createdIndex: number;
  readonly modifiedIndex: number;
  readonly expiresAtNs: bigint | null;
}

interface ExternNode {
  readonly key?: string;
  readonly value?: string;
  readonly dir?: boolean;
  readonly createdIndex?: number;
  readonly modifiedIndex?: number;
  readonly expiration?: string;
  readonly nodes?: readonly ExternNode[];
}

/** All that a recursive GET lists, parents first, and the index of the store. */
export async function listedBy(
  endpoint: string,
  path = '/',
): Promise<{ readonly nodes: readonly FlatNode[]; readonly index: number }> {
  const { status, body, index } = await send(endpoint, 'GET', path, {
    recursive: 'true',
    sorted: 'true',
    quorum: 'true',
  });
  expect(status, `GET ${path}: ${body}`).toBe(200);
  const { node } = JSON.parse(body) as { node: ExternNode };
  return { nodes: flattened(node).toSorted(byKey), index: Number(index) };
}

function flattened(node: ExternNode): FlatNode[] {
  const { key, value, dir, createdIndex = 0, modifiedIndex = 0, expiration, nodes = [] } = node;
  const below = nodes.flatMap(flattened);
  if (key === undefined) return below;
  const expiresAtNs = expiration === undefined ? null : nanoseconds(expiration);
  return [{ key, value: dir === true ? null : (value ?? ''), createdIndex, modifiedIndex, expiresAtNs }, ...below];
}

function nanoseconds(text: string): bigint {
  const [, seconds = '', fraction = ''] = /^([^.Z]+)(?:\.(\d+))?Z$/.exec(text) ?? [];
  return BigInt(Date.parse(`${seconds}Z`)) * 1_000_000n + BigInt(fraction.padEnd(9, '0'));
}

const byKey = (a: FlatNode, b: FlatNode): number => (a.key < b.key ? -1 : 1);

/** The user's nodes of a tree. */
export function nodesOf(tree: V2Tree, { hidden }: { readonly hidden: boolean }): readonly FlatNode[] {
  const users = tree.root.children?.get('1');
  const nodes: FlatNode[] = [];
  const walk = (node: V2Node, path: string): void => {
    for (const child of node.children?.values() ?? []) {
      if (!hidden && child.name.startsWith('_')) continue;
      const key = `${path}/${child.name}`;
      const { value, createdIndex, modifiedIndex, expiresAtNs, children } = child;
      const text = children === null ? utf8(value) : null;
      nodes.push({ key: utf8(key), value: text, createdIndex, modifiedIndex, expiresAtNs });
      walk(child, key);
    }
  };
  if (users !== undefined) walk(users, '');
  return nodes.toSorted(byKey);
}

const utf8 = (bytes: string): string => Buffer.from(bytes, 'latin1').toString('utf8');

export async function replayed(
  dataDir: string,
  upTo: 'end' | 'last-good' = 'end',
  walDir: string | null = null,
): Promise<Replayed> {
  return await replay(await findDataDirectory(dataDir, walDir), { upTo });
}

export function openDatadir(dataDir: string, options: Partial<EtcdV2DatadirOptions> = {}): SourceStore {
  return openEtcdV2DatadirStore({
    name: 'old',
    dataDir,
    walDir: null,
    upTo: 'end',
    hidden: 'leave-out',
    nowMs: () => Date.now(),
    ...options,
  });
}

/** Returns once every key that was to live for three seconds or less is gone, hidden ones included. */
export async function expireShortLived(endpoint: string): Promise<void> {
  await send(endpoint, 'PUT', '/canary', { value: 'expires last', ttl: '4' });
  const gone = await waitUntil(async () => (await send(endpoint, 'GET', '/canary', {})).status === 404, 60_000, 100);
  expect(gone).toBe(true);
}

/** A directory of its own for a test, with what it may put there; removed afterwards. */
export async function withFolder<T>(use: (folder: string) => Promise<T>): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), 'keyferry-datadir-'));
  try {
    return await use(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

export async function copyOf(dataDir: string, folder: string): Promise<string> {
  const copy = join(folder, 'copy');
  await rm(copy, { recursive: true, force: true });
  await cp(dataDir, copy, { recursive: true });
  return copy;
}
