/**
 * Goal: a barrier never holds while an instance may still act in an older mode (SPEC R29).
 * Method: the edges as a table, then a law over generated registrations.
 */
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { barrierAt, cannotWrite, type InstanceId, type Registration, type SwitchEpoch } from './barrier.ts';
import type { Mode, Rung } from './mode-ladder.ts';

const announced = 7 as SwitchEpoch;
const terms = { instancesMin: 1, nowMs: 1000, requestLifeMs: 100 };

function reg(name: string, acknowledged: number, change: Partial<Registration> = {}): Registration {
  const registration = { instance: name as InstanceId, acknowledged: acknowledged as SwitchEpoch };
  return { ...registration, lapsed: false, harmless: false, goneAtMs: null, ...change };
}
const waitingOn = (instance: string, why: string, short = 0) => ({ kind: 'waiting', on: [{ instance, why }], short });
const held = { kind: 'held' };

describe('barrierAt', () => {
  it.each([
    { name: 'holds once all have acknowledged', regs: [reg('a', 7), reg('b', 7)], want: held },
    { name: 'waits for one that is behind', regs: [reg('a', 7), reg('b', 6)], want: waitingOn('b', 'behind') },
    {
      name: 'waits for one that has just registered',
      regs: [reg('a', 7), reg('b', 0)],
      want: waitingOn('b', 'behind'),
    },
    {
      name: 'waits for one that lapsed',
      regs: [reg('a', 7), reg('b', 6, { lapsed: true })],
      want: waitingOn('b', 'lapsed'),
    },
    {
      name: 'waits for one that cannot write but is alive',
      regs: [reg('a', 7), reg('b', 6, { harmless: true })],
      want: waitingOn('b', 'behind'),
    },
    {
      name: 'passes over one that lapsed and cannot write',
      regs: [reg('a', 7), reg('b', 6, { lapsed: true, harmless: true })],
      want: held,
    },
    { name: 'holds with one that lapsed and had acknowledged', regs: [reg('a', 7, { lapsed: true })], want: held },
    {
      name: 'waits for the last requests of one that was named gone',
      regs: [reg('a', 7), reg('b', 6, { goneAtMs: 900 })],
      want: waitingOn('b', 'gone-lately'),
    },
    { name: 'passes over it one tick later', regs: [reg('a', 7), reg('b', 6, { goneAtMs: 899 })], want: held },
    { name: 'waits until somebody comes', regs: [], want: { kind: 'waiting', on: [], short: 1 } },
    {
      name: 'does not count who is gone among those that came',
      regs: [reg('a', 7, { goneAtMs: 0 })],
      want: { kind: 'waiting', on: [], short: 1 },
    },
  ])('$name', ({ regs, want }) => expect(barrierAt(announced, regs, terms)).toEqual(want));

  it('waits for as many as there must be', () => {
    expect(barrierAt(announced, [reg('a', 7)], { ...terms, instancesMin: 3 })).toEqual({
      kind: 'waiting',
      on: [],
      short: 2,
    });
  });

  it('stops at an acknowledgement of what nobody announced', () => {
    expect(() => barrierAt(announced, [reg('a', 8)], terms)).toThrow(
      expect.objectContaining({ code: 'internal.invariant' }),
    );
  });

  const anyRegistration = fc
    .record({ acknowledged: fc.integer({ min: 0, max: 7 }), lapsed: fc.boolean(), harmless: fc.boolean() })
    .map(({ acknowledged, lapsed, harmless }) => reg('x', acknowledged, { lapsed, harmless }));

  it('law: one that is behind and that may still write is enough to wait', () =>
    fc.assert(
      fc.property(fc.array(anyRegistration), fc.boolean(), (regs, lapsed) => {
        return barrierAt(announced, [...regs, reg('late', 6, { lapsed })], terms).kind === 'waiting';
      }),
    ));
});

describe('an instance that is behind', () => {
  const rung = (mode: Mode, change: Partial<Rung> = {}): Rung => ({ mode, heldFrom: null, committed: null, ...change });

  it.each<[string, Rung, number, { readonly alone: boolean; readonly compared: boolean }]>([
    ['may write the source', rung('draining', { heldFrom: 'legacy' }), 6, { alone: false, compared: false }],
    ['may write the target', rung('settled'), 6, { alone: false, compared: true }],
    [
      'may write the target, on the way back',
      rung('draining', { heldFrom: 'settled' }),
      6,
      { alone: false, compared: true },
    ],
    [
      'holds its writes back',
      rung('returning', { heldFrom: 'settled', committed: 'legacy' }),
      6,
      { alone: true, compared: true },
    ],
    [
      'may not have come as far',
      rung('returning', { heldFrom: 'settled', committed: 'legacy' }),
      5,
      { alone: false, compared: true },
    ],
    ['holds its writes back, at the end', rung('legacy', { committed: 'legacy' }), 6, { alone: true, compared: true }],
    ['may never have left', rung('legacy'), 6, { alone: false, compared: false }],
  ])('%s', (_, at, acknowledged, want) => {
    const can = (compared: boolean) => cannotWrite(at, announced, acknowledged as SwitchEpoch, compared);
    expect({ alone: can(false), compared: can(true) }).toEqual(want);
  });
});
