/**
 * Goal: writes are held only for instances that are there to acknowledge it, and what counts as proof follows from who is
 * registered (SPEC R101, R102). Method: the calls as a table, both sides of each edge.
 */
import { describe, expect, it } from 'vitest';
import type { InstanceId, SwitchEpoch } from './barrier.ts';
import { barrierAt } from './barrier.ts';
import { acknowledgedBy, allCutoverRules, writersAreStill } from './cutover.ts';
import { rollCall, type CalledInstance, type Sighting } from './roll-call.ts';

const nowMs = 10_000;
const requestLifeMs = 500;
const terms = { instances: null, nowMs, requestLifeMs };

const called = (name: string, sighting: Sighting, goneAtMs: number | null = null): CalledInstance => ({
  instance: name as InstanceId,
  sighting,
  goneAtMs,
});
const lapsed = (name: string) => ({ instance: name, why: 'lapsed' });

describe('rollCall', () => {
  it.each([
    { name: 'nobody is registered', all: [], want: { kind: 'complete', proof: 'silence' } },
    {
      name: 'everybody was seen alive',
      all: [called('a', 'alive'), called('b', 'alive')],
      want: { kind: 'complete', proof: 'acknowledgements' },
    },
    {
      name: 'somebody was not seen yet',
      all: [called('a', 'alive'), called('b', 'unseen')],
      want: { kind: 'waiting', on: ['b'] },
    },
    {
      name: 'somebody has lapsed, whoever else is to be waited for',
      all: [called('a', 'unseen'), called('b', 'lapsed')],
      want: { kind: 'refused', on: [lapsed('b')], short: 0 },
    },
    {
      name: 'one that lapsed was named gone for exactly the life of a request',
      all: [called('a', 'alive'), called('b', 'lapsed', nowMs - requestLifeMs)],
      want: { kind: 'waiting', on: ['b'] },
    },
    {
      name: 'it was named gone for longer than that',
      all: [called('a', 'alive'), called('b', 'lapsed', nowMs - requestLifeMs - 1)],
      want: { kind: 'complete', proof: 'acknowledgements' },
    },
    {
      name: 'only those named gone are left',
      all: [called('b', 'lapsed', 0)],
      want: { kind: 'complete', proof: 'silence' },
    },
  ])('$name', ({ all, want }) => {
    expect(rollCall(all, terms)).toEqual(want);
  });

  it('is refused with fewer than there must be, and one named gone is none of them', () => {
    const two = { ...terms, instances: { min: 2 } };
    const one = [called('a', 'alive'), called('b', 'lapsed', 0)];
    expect(rollCall(one, two)).toEqual({ kind: 'refused', on: [], short: 1 });
    expect(rollCall([], two)).toEqual({ kind: 'refused', on: [], short: 2 });
    expect(rollCall([...one, called('c', 'alive')], two)).toEqual({ kind: 'complete', proof: 'acknowledgements' });
  });

  it('asks nobody where not every writer registers', () => {
    const none = { ...terms, instances: 'none' as const };
    expect(rollCall([called('a', 'lapsed')], none)).toEqual({ kind: 'complete', proof: 'silence' });
  });
});

describe('writersAreStill', () => {
  const waiting = { kind: 'waiting', on: [{ instance: 'a' as InstanceId, why: 'behind' }], short: 0 } as const;
  const silent = { silentForMs: requestLifeMs, requestLifeMs };

  it('by acknowledgements: when all are there, however short the silence, and not before', () => {
    const asked = { proof: 'acknowledgements', silentForMs: 0, requestLifeMs } as const;
    expect(writersAreStill({ ...asked, barrier: { kind: 'held' } })).toBe(true);
    expect(writersAreStill({ ...asked, ...silent, barrier: waiting })).toBe(false);
    expect(writersAreStill({ ...asked, barrier: null })).toBe(false);
    expect(writersAreStill({ ...asked, barrier: waiting }, { ...allCutoverRules, acknowledge: false })).toBe(true);
  });

  it('by silence: for the whole life of a request, whoever acknowledged', () => {
    const asked = { proof: 'silence', barrier: { kind: 'held' }, requestLifeMs } as const;
    expect(writersAreStill({ ...asked, silentForMs: requestLifeMs - 1 })).toBe(false);
    expect(writersAreStill({ ...asked, silentForMs: requestLifeMs })).toBe(true);
  });
});

describe('acknowledgedBy', () => {
  const barrierOf = (isLapsed: boolean) => {
    const registration = {
      instance: 'a' as InstanceId,
      acknowledged: 1 as SwitchEpoch,
      harmless: false,
      goneAtMs: null,
    };
    const barrierTerms = { instancesMin: 1, nowMs, requestLifeMs };
    return barrierAt(2 as SwitchEpoch, [{ ...registration, lapsed: isLapsed }], barrierTerms);
  };

  it('tells one that is late from one that is silent for longer than its lease', () => {
    expect(acknowledgedBy(barrierOf(false))).toBe('waiting');
    expect(acknowledgedBy(barrierOf(true))).toBe('lapsed');
    expect(acknowledgedBy({ kind: 'held' })).toBe('all');
    expect(acknowledgedBy(null)).toBe('all');
  });
});
