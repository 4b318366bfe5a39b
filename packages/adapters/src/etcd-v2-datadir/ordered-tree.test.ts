/**
 * Goal: siblings come in the byte order of their names, whatever these begin with and however they end.
 * Method: generated directories, full of names that share beginnings and end in zero bytes, against the platform's own sort.
 */
import * as fc from 'fast-check';
import { expect, it } from 'vitest';
import { none } from './node-table.ts';
import { OrderedTree } from './ordered-tree.ts';
import { V2Tree } from './v2-tree.ts';

const piece = fc.constantFrom('a', 'b', '\0', '\0\0\0', 'abcd', 'abcde', '\xff', '-', '~', 'same-in-all-of-them-');
const name = fc.array(piece, { minLength: 1, maxLength: 5 }).map((pieces) => pieces.join(''));
const never = { expiresAtNs: null, refresh: false };

function treeOf(names: readonly string[]): V2Tree {
  const tree = V2Tree.empty({ directoriesCanBeUpdated: true, inOrderNamesArePadded: true });
  for (const [i, each] of names.entries()) tree.set(`/1/d/${each}`, i % 7 === 0, '', never);
  return tree;
}

function orderedNames(tree: V2Tree): { readonly entries: readonly string[]; readonly below: readonly string[] } {
  const { nodes } = tree;
  const directory = nodes.child(tree.users ?? none, 'd');
  const ordered = new OrderedTree(tree);
  const { entries, below } = ordered.orderOf(directory);
  expect(ordered.orderOf(directory).entries).toBe(entries); // sorted once
  return { entries: [...entries].map((node) => nodes.name(node)), below: below.map((each) => each.name) };
}

it('law: siblings are as a plain sort of their names puts them, some of them removed before', () =>
  fc.assert(
    fc.property(
      fc.uniqueArray(name, { minLength: 1, maxLength: 120 }),
      fc.constantFrom('', 'in-front-of-all-'),
      fc.integer({ min: 2, max: 9 }),
      (names, front, nth) => {
        const all = names.map((each) => `${front}${each}`);
        const tree = treeOf(all);
        const isKept = (_: string, i: number): boolean => i % nth !== 1;
        for (const [i, each] of all.entries()) if (!isKept(each, i)) tree.delete(`/1/d/${each}`, true, true);
        const kept = all.filter(isKept);
        const directories = all.filter((each, i) => isKept(each, i) && i % 7 === 0).map((each) => `${each}/`);
        expect(orderedNames(tree)).toEqual({ entries: kept.toSorted(), below: directories.toSorted() });
      },
    ),
    { numRuns: 300 },
  ));

it('tells names apart that are alike but for the number of zero bytes at their ends', () => {
  const names = Array.from({ length: 40 }, (_, zeros) => `a${'\0'.repeat(zeros)}`);
  expect(orderedNames(treeOf(names.toReversed())).entries).toEqual(names);
});

it('sorts names that are alike for longer than any stack is deep', () => {
  const front = 'x'.repeat(400_000);
  const names = Array.from(
    { length: 30 },
    (_, i) => `${front}${i % 2 === 0 ? '' : front}${String(i).padStart(2, '0')}`,
  );
  expect(orderedNames(treeOf(names)).entries).toEqual(names.toSorted());
});
