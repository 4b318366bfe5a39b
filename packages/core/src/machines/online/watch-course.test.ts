/** Goal: watchers see what applications change, once, and nothing else (SPEC R61, R62, R170). Method: the edges, as tables. */
import { describe, expect, it } from 'vitest';
import type { Key } from '../../model/key.ts';
import type { Position } from '../../model/position.ts';
import type { SwitchRecord } from './switch-record.ts';
import { applicationChange, isCopied, watchSideAt, watchVerdict } from './watch-course.ts';

type Known = Pick<SwitchRecord, 'mode' | 'heldFrom' | 'committed' | 'frozenAt' | 'watchFrom'>;

const open: Known = { mode: 'legacy', heldFrom: null, committed: null, frozenAt: null, watchFrom: null };
const published = { frozenAt: '1042' as Position, watchFrom: '77' as Position };
const forward: Known = { ...open, mode: 'draining', heldFrom: 'legacy' };
const migrating: Known = { ...open, ...published, mode: 'migrating' };
const backward: Known = { ...migrating, mode: 'draining', heldFrom: 'migrating' };
const returning: Known = { ...backward, mode: 'returning', committed: 'legacy' };
const home: Known = { ...open, committed: 'legacy' };

describe('a watch of the source', () => {
  const source = (keptBack: boolean) => ({ side: 'source', keptBack }) as const;
  it.each([
    { name: 'shows all before anything was announced', known: null, keptBack: false, want: 'show' },
    { name: 'shows all in legacy', known: open, keptBack: false, want: 'show' },
    { name: 'keeps back while it drains', known: forward, keptBack: false, want: 'keep-back' },
    {
      name: 'keeps back although an earlier way published positions',
      known: { ...forward, ...published },
      keptBack: true,
      want: 'keep-back',
    },
    { name: 'shows what it kept back once draining was given up', known: open, keptBack: true, want: 'show' },
    { name: 'hands over once the source is frozen', known: migrating, keptBack: true, want: 'hand-over' },
    { name: 'hands over although it saw the target drain first', known: backward, keptBack: true, want: 'hand-over' },
    {
      name: 'is lost where nothing was published',
      known: { ...open, mode: 'migrating' } as Known,
      keptBack: true,
      want: 'lost',
    },
    { name: 'is lost when everything went there and back unseen', known: home, keptBack: true, want: 'lost' },
    { name: 'is lost when everything goes back unseen', known: returning, keptBack: true, want: 'lost' },
    { name: 'shows all after a rollback', known: home, keptBack: false, want: 'show' },
  ])('$name', ({ known, keptBack, want }) => expect(watchVerdict(source(keptBack), known).kind).toBe(want));

  it('hands over at the published positions', () =>
    expect(watchVerdict(source(false), migrating)).toEqual({ kind: 'hand-over', ...published }));
});

describe('a watch of the target', () => {
  const target = { side: 'target', keptBack: false } as const;
  it.each([
    { mode: 'migrating', known: migrating, want: 'show' },
    { mode: 'settled', known: { ...migrating, mode: 'settled' } as Known, want: 'show' },
    { mode: 'normal', known: { ...migrating, mode: 'normal', committed: 'normal' } as Known, want: 'show' },
    { mode: 'draining on the way back', known: backward, want: 'show' },
    { mode: 'returning', known: returning, want: 'lost' },
    { mode: 'legacy after a rollback', known: home, want: 'lost' },
    { mode: 'draining after a rollback', known: forward, want: 'lost' },
  ])('in $mode: $want', ({ known, want }) => expect(watchVerdict(target, known).kind).toBe(want));
});

describe('a watch of a target that knows its state alone', () => {
  const settled: Known = { ...migrating, mode: 'settled' };
  const normal: Known = { ...migrating, mode: 'normal', committed: 'normal' };
  it.each([
    { name: 'shows all while records are copied', known: migrating, sawCopies: false, want: 'show' },
    { name: 'shows all when they are', known: settled, sawCopies: false, want: 'show' },
    { name: 'shows all in normal if it had seen them', known: normal, sawCopies: true, want: 'show' },
    { name: 'is lost in normal if it had not', known: normal, sawCopies: false, want: 'lost' },
    {
      name: 'is lost as well where normal was given up: some had been in it',
      known: { ...settled, committed: 'normal' } as Known,
      sawCopies: false,
      want: 'lost',
    },
    { name: 'is lost on the way back', known: returning, sawCopies: true, want: 'lost' },
  ])('$name', ({ known, sawCopies, want }) =>
    expect(watchVerdict({ side: 'target', keptBack: false, sawCopies }, known).kind).toBe(want),
  );

  it.each([
    { known: null, want: false },
    { known: migrating, want: false },
    { known: backward, want: false },
    { known: settled, want: true },
    { known: normal, want: true },
  ])('knows whether all is copied: $want', ({ known, want }) => expect(isCopied(known)).toBe(want));
});

it.each([
  { known: null, want: 'source' },
  { known: open, want: 'source' },
  { known: forward, want: 'source' },
  { known: migrating, want: 'target' },
  { known: backward, want: 'target' },
  { known: returning, want: 'source' },
])('begins in the $want', ({ known, want }) => expect(watchSideAt(known)).toBe(want));

describe('a change of the target', () => {
  const key = 'k' as Key;
  const [own, copy] = [{ copiedFrom: null }, { copiedFrom: '7' }];
  it.each([
    { name: 'a put', change: { kind: 'put', record: own } as const, entombed: false, want: 'put' },
    {
      name: 'a put with a TTL, whose tombstone comes with it',
      change: { kind: 'put', record: own } as const,
      entombed: true,
      want: 'put',
    },
    { name: 'a copy', change: { kind: 'put', record: copy } as const, entombed: false, want: undefined },
    { name: 'a delete', change: { kind: 'delete' } as const, entombed: true, want: 'delete' },
    { name: 'the end of a TTL', change: { kind: 'delete' } as const, entombed: false, want: 'delete' },
    { name: 'a delete of a key that was never copied', change: null, entombed: true, want: 'delete' },
    { name: 'a tombstone that was there already, or is dropped', change: null, entombed: false, want: undefined },
  ])('$name', ({ change, entombed, want }) =>
    expect(applicationChange<{ copiedFrom: string | null }>({ key, change, entombed })?.kind).toBe(want),
  );
});
