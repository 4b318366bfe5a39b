/**
 * Goal: what a run knows in a hold follows from what it saw, and what it finds at the switch is what it may go on from.
 * Method: tables; that the whole leads to no lost write is the explorer's to show (testing/explore/replicate).
 */
import { describe, expect, it } from 'vitest';
import type { MigrationId } from '../../model/ids.ts';
import { afterHoldEvent, leftAtSwitch, nothingKnown, type HoldEvent } from './hold-course.ts';

const all = {
  isQuiet: true,
  isDrained: true,
  compared: 'equal',
  isGranted: true,
  isFenced: true,
  isAnchored: true,
} as const;

describe('afterHoldEvent', () => {
  it.each<{ event: HoldEvent; from: typeof nothingKnown; changes: Partial<typeof nothingKnown> }>([
    { event: { kind: 'looked', isStill: true }, from: nothingKnown, changes: { isQuiet: true } },
    { event: { kind: 'looked', isStill: false }, from: all, changes: { isQuiet: false } },
    {
      event: { kind: 'drained', proof: 'acknowledgements', hasMoved: true },
      from: nothingKnown,
      changes: { isDrained: true },
    },
    { event: { kind: 'drained', proof: 'silence', hasMoved: false }, from: nothingKnown, changes: { isDrained: true } },
    {
      event: { kind: 'drained', proof: 'silence', hasMoved: true },
      from: { ...nothingKnown, isQuiet: true },
      changes: { isQuiet: false },
    },
    { event: { kind: 'compared', isEqual: true }, from: nothingKnown, changes: { compared: 'equal' } },
    { event: { kind: 'compared', isEqual: false }, from: nothingKnown, changes: { compared: 'differ' } },
    { event: { kind: 'lost' }, from: all, changes: { compared: 'differ' } },
    { event: { kind: 'granted' }, from: nothingKnown, changes: { isGranted: true } },
    { event: { kind: 'fenced' }, from: nothingKnown, changes: { isFenced: true } },
    { event: { kind: 'anchored' }, from: nothingKnown, changes: { isAnchored: true } },
    { event: { kind: 'moved' }, from: all, changes: { isQuiet: false } },
  ])('$event changes $changes', ({ event, from, changes }) => {
    expect(afterHoldEvent(from, event)).toEqual({ ...from, ...changes });
  });
});

describe('leftAtSwitch', () => {
  const migration = 'shop' as MigrationId;
  const other = 'stock' as MigrationId;
  it.each([
    { name: 'nothing where nothing was ever announced', record: null, isResumed: true, left: 'nothing' },
    {
      name: 'nothing where the other store is still primary',
      record: { migration, primary: 'source', writes: 'open' },
      isResumed: true,
      left: 'nothing',
    },
    {
      name: 'a hold of this migration, whoever made it',
      record: { migration, primary: 'source', writes: 'held' },
      isResumed: false,
      left: 'hold',
    },
    {
      name: 'a flip of a run before',
      record: { migration, primary: 'target', writes: 'open' },
      isResumed: true,
      left: 'flip',
    },
    {
      name: 'a flip that no run of this command made',
      record: { migration, primary: 'target', writes: 'open' },
      isResumed: false,
      left: 'taken',
    },
    {
      name: 'a hold of another migration',
      record: { migration: other, primary: 'source', writes: 'held' },
      isResumed: true,
      left: 'taken',
    },
  ] as const)('finds $name', ({ record, isResumed, left }) => {
    expect(leftAtSwitch(record, { migration, to: 'target', isResumed })).toBe(left);
  });
});
