/**
 * Goal: a view of the tree gives every node of its range once, in byte order, wherever a scan begins and ends.
 * Method: generated trees with the names that are hard to order, against a list of all paths that is simply sorted.
 */
import { rangeHolds, type Key, type KeyRange, type Position } from '@keyferry/core';
import * as fc from 'fast-check';
import { expect, it } from 'vitest';
import { OrderedTree } from './ordered-tree.ts';
import { TreeView } from './tree-view.ts';
import type { V2Node } from './v2-node.ts';
import { V2Tree } from './v2-tree.ts';

const name = fc.constantFrom('a', 'a-b', 'a.b', 'a0', 'ab', 'b', '-', '~', '\xff', '_h', 'a\x01');
const path = fc.array(name, { minLength: 1, maxLength: 4 }).map((names) => `/${names.join('/')}`);
const edge = fc.oneof(
  path,
  path.map((each) => `${each}/`),
  path.map((each) => `${each}!`),
  fc.constant(''),
);

function treeOf(paths: readonly string[]): V2Tree {
  const tree = V2Tree.empty({ directoriesCanBeUpdated: true, inOrderNamesArePadded: true });
  // A path below one that is a file is refused, which is as good.
  for (const each of paths) tree.set(`/1${each}`, false, each, { expiresAtNs: null, refresh: false });
  return tree;
}

function allPaths(tree: V2Tree): string[] {
  const found: string[] = [];
  const collect = (node: V2Node, above: string): void => {
    for (const child of node.children?.values() ?? []) {
      found.push(`${above}/${child.name}`);
      collect(child, `${above}/${child.name}`);
    }
  };
  const users = tree.root.children?.get('1');
  if (users !== undefined) collect(users, '');
  return found.toSorted((a, b) => (a < b ? -1 : 1));
}

async function scanned(tree: V2Tree, range: KeyRange, pageKeysMax: number): Promise<string[]> {
  const view = new TreeView(new OrderedTree(tree), { position: '0' as Position, range, nowMs: 0, hidden: 'carry' });
  const keys: string[] = [];
  for await (const { records, notCarried } of view.scan(range, { pageKeysMax })) {
    const entries = [...records, ...notCarried].map(({ key }) => key);
    expect(entries.length).toBeLessThanOrEqual(pageKeysMax);
    keys.push(...entries.toSorted((a, b) => (a < b ? -1 : 1)));
  }
  return keys;
}

it('law: a scan gives what a sorted list of all paths gives, from any edge to any other', () =>
  fc.assert(
    fc.asyncProperty(
      fc.array(path, { maxLength: 30 }),
      edge,
      fc.option(edge),
      fc.integer({ min: 1, max: 7 }),
      async (paths, start, end, pageKeysMax) => {
        const tree = treeOf(paths);
        const range = { start: start as Key, end: end as Key | null };
        const expected = allPaths(tree).filter((each) => rangeHolds(range, each as Key));
        expect(await scanned(tree, range, pageKeysMax)).toEqual(expected);
      },
    ),
    { numRuns: 300 },
  ));
