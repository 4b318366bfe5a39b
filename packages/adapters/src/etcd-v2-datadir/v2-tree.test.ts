/**
 * Goal: each rule of etcd's v2 store, at its edge. Method: a table of requests with their outcome and the index after them;
 * that all of them together are etcd's is for the contract tests, which ask etcd itself.
 */
import { describe, expect, it } from 'vitest';
import { refusals, V2Tree, type Expiry, type TreeOutcome, type TreeRules } from './v2-tree.ts';

const rules: TreeRules = { directoriesCanBeUpdated: true, inOrderNamesArePadded: true };
const never: Expiry = { expiresAtNs: null, refresh: false };
const at = (seconds: number, refresh = false): Expiry => ({ expiresAtNs: second(seconds), refresh });
const second = (seconds: number): bigint => BigInt(seconds) * 1_000_000_000n;
const far = 4_000_000_000;

/** A tree with /1/f (index 1), /1/d (2), /1/d/x (3) and what is done to it. */
function treeWith(...steps: readonly ((tree: V2Tree) => unknown)[]): V2Tree {
  const tree = V2Tree.empty(rules);
  tree.set('/1/f', false, 'v', never);
  tree.set('/1/d', true, '', never);
  tree.set('/1/d/x', false, 'x', never);
  for (const step of steps) step(tree);
  return tree;
}

function nodeAt(tree: V2Tree, path: string) {
  const node = tree.find(path);
  if (typeof node === 'number') return node;
  const { value, createdIndex, modifiedIndex, expiresAtNs, children } = node;
  return { value: children === null ? value : null, createdIndex, modifiedIndex, expiresAtNs };
}

describe('a request to the v2 store', () => {
  const cases: readonly {
    readonly name: string;
    readonly run: (tree: V2Tree) => TreeOutcome;
    readonly want: TreeOutcome;
  }[] = [
    { name: 'set of a file', run: (t) => t.set('/1/f', false, 'w', never), want: null },
    { name: 'set over a directory', run: (t) => t.set('/1/d', false, 'w', never), want: refusals.notFile },
    { name: 'set of a directory over a file', run: (t) => t.set('/1/f', true, '', never), want: null },
    { name: 'set of a directory over a directory', run: (t) => t.set('/1/d', true, '', never), want: refusals.notFile },
    { name: 'set below a file', run: (t) => t.set('/1/f/y', false, 'w', never), want: refusals.notDirectory },
    { name: 'set of the root', run: (t) => t.set('/', false, 'w', never), want: refusals.rootReadOnly },
    { name: 'set of /1', run: (t) => t.set('/1', true, '', never), want: refusals.rootReadOnly },
    {
      name: 'refresh of what is not there',
      run: (t) => t.set('/1/n', false, '', at(far, true)),
      want: refusals.keyNotFound,
    },
    { name: 'create of a file', run: (t) => t.create('/1/n', false, 'w', never), want: null },
    { name: 'create of what is there', run: (t) => t.create('/1/f', false, 'w', never), want: refusals.nodeExists },
    { name: 'create below a file', run: (t) => t.create('/1/f/y/z', false, 'w', never), want: refusals.notDirectory },
    { name: 'update of a file', run: (t) => t.update('/1/f', 'w', never), want: null },
    { name: 'update of what is not there', run: (t) => t.update('/1/n', 'w', never), want: refusals.keyNotFound },
    { name: "update of a directory's TTL", run: (t) => t.update('/1/d', '', at(far)), want: null },
    { name: 'update of a directory with a value', run: (t) => t.update('/1/d', 'w', at(far)), want: refusals.notFile },
    { name: 'update of the root', run: (t) => t.update('/1/', '', never), want: refusals.rootReadOnly },
    {
      name: 'swap by value',
      run: (t) => t.compareAndSwap('/1/f', { prevValue: 'v', prevIndex: 0 }, 'w', never),
      want: null,
    },
    {
      name: 'swap by a wrong value',
      run: (t) => t.compareAndSwap('/1/f', { prevValue: 'u', prevIndex: 0 }, 'w', never),
      want: refusals.testFailed,
    },
    {
      name: 'swap by index',
      run: (t) => t.compareAndSwap('/1/f', { prevValue: '', prevIndex: 1 }, 'w', never),
      want: null,
    },
    {
      name: 'swap by value and a wrong index',
      run: (t) => t.compareAndSwap('/1/f', { prevValue: 'v', prevIndex: 2 }, 'w', never),
      want: refusals.testFailed,
    },
    {
      name: 'swap of a directory',
      run: (t) => t.compareAndSwap('/1/d', { prevValue: '', prevIndex: 2 }, 'w', never),
      want: refusals.notFile,
    },
    { name: 'delete of a file', run: (t) => t.delete('/1/f', false, false), want: null },
    {
      name: 'delete of a directory without saying so',
      run: (t) => t.delete('/1/d', false, false),
      want: refusals.notFile,
    },
    {
      name: 'delete of a directory with children',
      run: (t) => t.delete('/1/d', true, false),
      want: refusals.directoryNotEmpty,
    },
    { name: 'recursive delete', run: (t) => t.delete('/1/d', false, true), want: null },
    { name: 'recursive delete of everything', run: (t) => t.delete('/1', false, true), want: refusals.rootReadOnly },
    { name: 'delete of what is not there', run: (t) => t.delete('/1/n', true, true), want: refusals.keyNotFound },
    { name: 'delete by index', run: (t) => t.compareAndDelete('/1/f', { prevValue: '', prevIndex: 1 }), want: null },
    {
      name: 'delete by a wrong value',
      run: (t) => t.compareAndDelete('/1/f', { prevValue: 'u', prevIndex: 0 }),
      want: refusals.testFailed,
    },
    {
      name: 'delete of a directory by index',
      run: (t) => t.compareAndDelete('/1/d', { prevValue: '', prevIndex: 2 }),
      want: refusals.notFile,
    },
  ];

  it.each(cases)('$name: $want', ({ run, want }) => {
    const tree = treeWith();
    const before = [nodeAt(tree, '/1/f'), nodeAt(tree, '/1/d'), nodeAt(tree, '/1/d/x'), nodeAt(tree, '/1/n')];
    expect(run(tree)).toBe(want);
    expect(tree.currentIndex).toBe(want === null ? 4 : 3);
    const after = [nodeAt(tree, '/1/f'), nodeAt(tree, '/1/d'), nodeAt(tree, '/1/d/x'), nodeAt(tree, '/1/n')];
    expect(want === null ? before : after).toEqual(before);
  });
});

describe('the indexes of a node', () => {
  it('are new after a set, and keep the first one after an update or a swap', () => {
    const of = (run: (tree: V2Tree) => unknown) => nodeAt(treeWith(run), '/1/f');
    expect(of((t) => t.set('/1/f', false, 'w', never))).toMatchObject({ createdIndex: 4, modifiedIndex: 4 });
    expect(of((t) => t.update('/1/f', 'w', never))).toMatchObject({ createdIndex: 1, modifiedIndex: 4 });
    const swap = (t: V2Tree): TreeOutcome => t.compareAndSwap('/1/f', { prevValue: 'v', prevIndex: 0 }, 'w', never);
    expect(of(swap)).toMatchObject({ createdIndex: 1, modifiedIndex: 4 });
  });

  it('are those of the leaf for the directories that it needed', () => {
    const tree = treeWith((t) => t.set('/1/p/q/r', false, '', never));
    for (const path of ['/1/p', '/1/p/q', '/1/p/q/r'])
      expect(nodeAt(tree, path)).toMatchObject({ createdIndex: 4, modifiedIndex: 4 });
  });

  it("stay for a directory whose TTL is renewed, though the store's moves", () => {
    const tree = treeWith((t) => t.update('/1/d', '', at(far)));
    expect(nodeAt(tree, '/1/d')).toEqual({ value: null, createdIndex: 2, modifiedIndex: 2, expiresAtNs: second(far) });
    expect(tree.currentIndex).toBe(4);
  });
});

describe('what differs between releases', () => {
  it('3.5 refuses to renew the TTL of a directory', () => {
    const tree = V2Tree.empty({ ...rules, directoriesCanBeUpdated: false });
    tree.set('/1/d', true, '', at(far));
    expect(tree.update('/1/d', '', at(far + 1))).toBe(refusals.notFile);
    expect([tree.currentIndex, tree.directoryUpdates]).toEqual([1, 1]);
    expect(nodeAt(tree, '/1/d')).toMatchObject({ expiresAtNs: second(far) });
  });

  it('in-order keys are named by the index, of 20 digits from 2.2 on', () => {
    const names = (inOrderNamesArePadded: boolean) => {
      const tree = V2Tree.empty({ ...rules, inOrderNamesArePadded });
      tree.createInOrder('/1/q', false, 'v', never);
      const directory = tree.find('/1/q');
      return typeof directory === 'number' ? [] : [...(directory.children?.keys() ?? [])];
    };
    expect(names(true)).toEqual(['00000000000000000001']);
    expect(names(false)).toEqual(['1']);
  });
});

describe('expiry', () => {
  it('takes what has expired, the earliest first, an index each, a directory with all below it', () => {
    const tree = treeWith(
      (t) => t.set('/1/late', false, '', at(far + 9)),
      (t) => t.set('/1/soon', false, '', at(far)),
      (t) => t.set('/1/dir', true, '', at(far + 1)),
      (t) => t.set('/1/dir/child', false, '', at(far + 2)),
    );
    tree.deleteExpired(second(far - 1));
    expect(tree.currentIndex).toBe(7);
    tree.deleteExpired(second(far + 2));
    expect(tree.currentIndex).toBe(9); // soon and dir; child went with dir
    expect([nodeAt(tree, '/1/soon'), nodeAt(tree, '/1/dir'), typeof nodeAt(tree, '/1/late')]).toEqual([
      100,
      100,
      'object',
    ]);
  });

  it('is kept by none of: set without one, update to none; and renewed by refresh, which keeps the value', () => {
    const tree = treeWith((t) => t.set('/1/f', false, 'v', at(far)));
    tree.update('/1/f', '', at(far + 5, true));
    expect(nodeAt(tree, '/1/f')).toMatchObject({ value: 'v', modifiedIndex: 5, expiresAtNs: second(far + 5) });
    tree.set('/1/f', false, '', at(far + 6, true));
    expect(nodeAt(tree, '/1/f')).toMatchObject({ value: 'v', createdIndex: 6, expiresAtNs: second(far + 6) });
    tree.update('/1/f', 'w', never);
    expect(nodeAt(tree, '/1/f')).toMatchObject({ value: 'w', expiresAtNs: null });
    tree.deleteExpired(second(far * 2));
    expect(nodeAt(tree, '/1/f')).toMatchObject({ value: 'w' });
  });

  it('before the year 2000 counts as none where a node is made, and counts where one is updated', () => {
    const tree = treeWith(
      (t) => t.set('/1/old', false, '', at(1)),
      (t) => t.update('/1/f', 'w', at(1)),
    );
    expect(nodeAt(tree, '/1/old')).toMatchObject({ expiresAtNs: null });
    tree.deleteExpired(second(2));
    expect(nodeAt(tree, '/1/f')).toBe(refusals.keyNotFound);
  });
});

it('goes as deep as a path may be long', () => {
  const tree = treeWith((t) => t.set(`/1${'/a'.repeat(100_000)}`, false, 'deep', at(far)));
  tree.delete('/1/a', true, true);
  expect(nodeAt(tree, '/1/a')).toBe(refusals.keyNotFound);
  tree.deleteExpired(second(far * 2));
  expect(tree.currentIndex).toBe(5);
});

describe('values', () => {
  it('are kept through many times as many that were replaced', () => {
    const tree = V2Tree.empty({ directoriesCanBeUpdated: true, inOrderNamesArePadded: true });
    const expiry = { expiresAtNs: null, refresh: false };
    const megabyte = 'x'.repeat(1024 * 1024);
    tree.set('/1/first', false, 'still there', expiry);
    for (let round = 0; round < 100; round += 1) {
      tree.set(`/1/large/${round % 3}`, false, `${round} ${megabyte}`, expiry);
      tree.update('/1/small', String(round), expiry);
      if (round === 0) tree.create('/1/small', false, 'new', expiry);
    }
    const valueOf = (path: string): string => {
      const node = tree.find(path);
      return typeof node === 'number' ? `refused: ${node}` : node.value;
    };
    expect([valueOf('/1/first'), valueOf('/1/small')]).toEqual(['still there', '99']);
    for (const [i, round] of [99, 97, 98].entries())
      expect(valueOf(`/1/large/${i}`).startsWith(`${round} x`)).toBe(true);
    // 100 MiB went through: what is held is the three that live, and what was added since they were last copied.
    expect(tree.nodes.heldBytes).toBeLessThan(48 * 1024 * 1024);
  });

  it('are found below a directory that was removed and made anew', () => {
    const tree = V2Tree.empty({ directoriesCanBeUpdated: true, inOrderNamesArePadded: true });
    const expiry = { expiresAtNs: null, refresh: false };
    tree.set('/1/d/e/f', false, '1', expiry);
    tree.delete('/1/d', true, true);
    tree.set('/1/d/e/g', false, '2', expiry);
    expect(tree.find('/1/d/e/f')).toBe(100);
    expect(nodeAt(tree, '/1/d/e/g')).toMatchObject({ value: '2', createdIndex: 3 });
  });
});
