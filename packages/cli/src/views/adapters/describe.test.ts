/** Goal: who chooses a store sees what it can do, its limits and what it needs. Method: two kinds, whole. */
import { adapterFacts, adapterKinds } from '@keyferry/adapters';
import { describe, expect, it } from 'vitest';
import { plainPalette } from '../../terminal/palette.ts';
import { describedAdapterView } from './describe.ts';

function page(kind: 'etcd-v2-datadir' | 'etcd-v3'): string {
  const facts = adapterFacts[kind];
  if (facts === undefined) throw new TypeError(`${kind} is not described`);
  const { description } = adapterKinds[kind];
  return describedAdapterView.human(
    { kind, description, facts },
    { palette: plainPalette, nowMs: 0, configFlag: null, holderIsGone: () => false },
  );
}

describe('adapters describe', () => {
  it('shows a kind that is a source only', () =>
    expect(page('etcd-v2-datadir')).toMatchInlineSnapshot(`
      "etcd-v2-datadir   the v2 keys in the data directory of an etcd member, 2.x to 3.5, without any etcd
        tested     directories of etcd 3.3.25, 3.4.23 and 3.5.16, and of an etcd 2.3.8
        target     no

      As a source
        needs      read on the directory
        scan       in byte order, so that two stores can be merged
        view       one state for as long as it is open
        expiry     records may end by themselves
        position   a point in the store's history
        hides      nothing
        text       bytes that are not UTF-8 are shown as U+FFFD
      "
    `));

  it('shows the limits of a target', () => {
    const all = page('etcd-v3');
    expect(all.slice(all.indexOf('As a target'))).toMatchInlineSnapshot(`
      "As a target
        needs      read and write on the prefix and on _keyferry/; read on everything for requireEmpty: keyspace
        scan       in byte order, so that two stores can be merged
        view       one state for as long as it is open
        expiry     records may end by themselves
        position   a point in the store's history
        hides      nothing
        text       every byte as it is
        fencing    the store itself refuses a writer that lost its claim
        request    at most 125 records and 1.3 MiB
        record     at most 1.5 MiB, key and value
        empty key  refused
        a and a/b  taken side by side
        refuses    nothing else
        own keys   under _keyferry/
        late       records may outlive their expiry by 1 min 2 s
        leases     one for the records that expire within the same 1 min
      "
    `);
  });

  it('says nothing of writing in the document of a source', () => {
    const facts = adapterFacts['etcd-v3'];
    if (facts === undefined) throw new TypeError('etcd-v3 is not described');
    const document = describedAdapterView.json({ kind: 'etcd-v3', description: '', facts }, []) as unknown as {
      readonly source: readonly { readonly capabilities: object }[];
      readonly target: readonly { readonly capabilities: object }[];
    };
    expect(document.source[0]?.capabilities).not.toHaveProperty('fencing');
    expect(document.target[0]?.capabilities).toHaveProperty('fencing', true);
  });
});
