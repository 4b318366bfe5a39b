/**
 * Goal: what going back does with a record follows from what is there now, for each kind of change and of image.
 * Method: the whole table, every combination of it.
 */
import { describe, expect, it } from 'vitest';
import type { BeforeImage, RecordOrigin } from '../model/before-image.ts';
import { keyFromText } from '../model/key.ts';
import type { Version } from '../model/record.ts';
import { restoreStep, type RestoreStep } from './restoration.ts';

const record = (value: string, origin: RecordOrigin, expiresAtMs: number | null = null): BeforeImage => ({
  key: keyFromText('k'),
  value: new TextEncoder().encode(value),
  version: '1' as Version,
  expiresAtMs,
  origin,
});

type Now = 'overwritten' | 'created' | 'nothing' | 'foreign' | 'the image';
const nows: readonly Now[] = ['overwritten', 'created', 'nothing', 'foreign', 'the image'];

function summary(step: RestoreStep): string {
  if (step.kind === 'put') return step.own ? 'put as own' : 'put';
  return step.kind === 'remove' ? `remove, ${step.outcome}` : step.outcome;
}

function stepsFor(undo: 'overwrite' | 'delete', image: BeforeImage, wasDeleted: boolean): Record<Now, string> {
  const steps = nows.map((now) => {
    if (now === 'nothing') return restoreStep({ undo, image }, null, wasDeleted, 100);
    const present = now === 'the image' ? { ...image, origin: 'foreign' as const } : record('now', now);
    return restoreStep({ undo, image }, present, wasDeleted, 100);
  });
  return Object.fromEntries(nows.map((now, i) => [now, summary(steps[i] as RestoreStep)])) as Record<Now, string>;
}

const left = { foreign: 'changed', 'the image': 'untouched' } as const;
const nothingOfOurs = { overwritten: 'changed', created: 'changed', nothing: 'changed', ...left };

describe('restoreStep', () => {
  it.each([
    { undo: 'overwrite', wasDeleted: false, want: { ...nothingOfOurs, overwritten: 'put' } },
    { undo: 'overwrite', wasDeleted: true, want: { ...nothingOfOurs, overwritten: 'put' } },
    { undo: 'delete', wasDeleted: false, want: nothingOfOurs },
    { undo: 'delete', wasDeleted: true, want: { ...nothingOfOurs, created: 'put', nothing: 'put' } },
  ] as const)('puts a foreign image back: $undo, deletion known: $wasDeleted', ({ undo, wasDeleted, want }) => {
    expect(stepsFor(undo, record('before', 'foreign'), wasDeleted)).toEqual(want);
  });

  it('marks as its own what an earlier attempt had overwritten', () => {
    expect(stepsFor('overwrite', record('before', 'overwritten'), false)).toMatchObject({ overwritten: 'put as own' });
    expect(stepsFor('delete', record('before', 'overwritten'), true)).toMatchObject({ nothing: 'put as own' });
  });

  it('takes away what an earlier attempt had created, for nothing was there before it', () => {
    const created = record('before', 'created');
    const undone = { nothing: 'untouched', created: 'untouched', foreign: 'changed', 'the image': 'changed' };
    expect(stepsFor('overwrite', created, false)).toEqual({ ...undone, overwritten: 'remove, removed' });
    expect(stepsFor('delete', created, true)).toEqual({ ...undone, overwritten: 'changed' });
  });

  it('revives nothing whose time is over, and takes away what stands in its place', () => {
    expect(stepsFor('overwrite', record('before', 'foreign', 100), false)).toMatchObject({
      overwritten: 'remove, expired',
      foreign: 'changed',
    });
    expect(stepsFor('delete', record('before', 'foreign', 100), true)).toMatchObject({ nothing: 'remove, expired' });
    expect(stepsFor('delete', record('before', 'foreign', 101), true)).toMatchObject({ nothing: 'put' });
  });
});
