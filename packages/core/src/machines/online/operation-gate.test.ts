/** Goal: an instance never acknowledges or begins too much (SPEC R27, R28). Method: both sides of each edge. */
import { describe, expect, it } from 'vitest';
import type { SwitchEpoch } from './barrier.ts';
import {
  acknowledgeable,
  beginOperation,
  closedGate,
  endOperation,
  followSwitch,
  isCertain,
  mayAcknowledge,
  renewLease,
  type Gate,
} from './operation-gate.ts';

const epoch = (number: number) => number as SwitchEpoch;
const gate: Gate = { epoch: epoch(4), leaseEndsAtMs: 100, lapses: 0, mustLook: false, open: [] };

function begun(at: Gate, nowMs = 0) {
  const started = beginOperation(at, nowMs);
  if (started === null) throw new TypeError('the lease has ended');
  return started;
}

describe('an epoch', () => {
  it('is acknowledged at once when nothing runs', () => {
    expect(acknowledgeable(followSwitch(gate, epoch(5)), 0)).toBe(5);
  });

  it('waits for what runs in an older one', () => {
    const { gate: busy, begun: operation } = begun(gate);
    const followed = followSwitch(busy, epoch(6));
    expect(acknowledgeable(followed, 0)).toBe(4);
    expect(acknowledgeable(begun(followed).gate, 0)).toBe(4);
    const { gate: free } = endOperation(followed, operation, { known: true, nowMs: 1, requestLifeMs: 50 });
    expect(acknowledgeable(free, 1)).toBe(6);
  });

  it('waits for an outcome that nobody knows, for the longest life of a request and no tick less', () => {
    const { gate: busy, begun: operation } = begun(gate);
    const ended = endOperation(busy, operation, { known: false, nowMs: 10, requestLifeMs: 50 });
    const followed = followSwitch(ended.gate, epoch(5));
    expect(ended.certain).toBe(false);
    expect(acknowledgeable(followed, 59)).toBe(4);
    expect(acknowledgeable(followed, 60)).toBe(5);
  });

  it('is not that of an older switch', () => {
    expect(followSwitch(gate, epoch(3)).epoch).toBe(4);
    expect(mayAcknowledge(epoch(4), [{ epoch: epoch(4) }])).toBe(true);
  });
});

describe('past the lease', () => {
  it('nothing begins', () => {
    expect(beginOperation(gate, 99)).not.toBeNull();
    expect(beginOperation(gate, 100)).toBeNull();
  });

  it('what ends has no certain outcome', () => {
    const { gate: busy, begun: operation } = begun(gate);
    const end = (nowMs: number) => endOperation(busy, operation, { known: true, nowMs, requestLifeMs: 50 }).certain;
    expect([end(99), end(100)]).toEqual([true, false]);
  });

  it('a renewal counts from before it was asked for, and never takes time away', () => {
    expect(renewLease(gate, { askedAtMs: 80, nowMs: 90, leaseMs: 60 }).leaseEndsAtMs).toBe(140);
    expect(renewLease(gate, { askedAtMs: 10, nowMs: 90, leaseMs: 60 }).leaseEndsAtMs).toBe(100);
  });

  it('what ran while it was over stays uncertain when it is renewed', () => {
    const { gate: busy, begun: operation } = begun(gate);
    const renewed = (nowMs: number) => renewLease(busy, { askedAtMs: 90, nowMs, leaseMs: 60 });
    // Asked for in time, and answered too late: nobody knows when it took effect.
    expect(isCertain(renewed(100), operation, 110)).toBe(false);
    expect(endOperation(renewed(100), operation, { known: true, nowMs: 110, requestLifeMs: 50 }).certain).toBe(false);
    expect(isCertain(renewed(99), operation, 110)).toBe(true);
    // What begins from then on is not concerned.
    const looked = followSwitch(renewed(100), epoch(4));
    expect(isCertain(looked, begun(looked, 110).begun, 110)).toBe(true);
  });

  it('nothing begins before the switch was read again, behind the renewal', () => {
    const renewed = renewLease(gate, { askedAtMs: 90, nowMs: 100, leaseMs: 60 });
    expect(beginOperation(renewed, 110)).toBeNull();
    expect(beginOperation(followSwitch(renewed, epoch(4)), 110)).not.toBeNull();
    expect(beginOperation(followSwitch(renewed, null), 110)).not.toBeNull();
    // One that came in time changes nothing.
    expect(beginOperation(renewLease(gate, { askedAtMs: 90, nowMs: 99, leaseMs: 60 }), 110)).not.toBeNull();
  });

  it('is where an instance begins: it registers, then reads the switch, then serves', () => {
    const registered = renewLease(closedGate(epoch(0)), { askedAtMs: 0, nowMs: 5, leaseMs: 60 });
    expect([closedGate(epoch(0)), registered].map((at) => beginOperation(at, 10))).toEqual([null, null]);
    expect(beginOperation(followSwitch(registered, null), 10)).not.toBeNull();
  });
});
