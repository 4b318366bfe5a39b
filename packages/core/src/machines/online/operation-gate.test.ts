/** Goal: an instance never acknowledges or begins too much (SPEC R27, R28). Method: both sides of each edge. */
import { describe, expect, it } from 'vitest';
import type { SwitchEpoch } from './barrier.ts';
import {
  acknowledgeable,
  beginOperation,
  endOperation,
  followSwitch,
  mayAcknowledge,
  renewLease,
  type Gate,
} from './operation-gate.ts';

const epoch = (number: number) => number as SwitchEpoch;
const gate: Gate = { epoch: epoch(4), leaseEndsAtMs: 100, open: [] };

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
    expect(renewLease(gate, 80, 60).leaseEndsAtMs).toBe(140);
    expect(renewLease(gate, 10, 60).leaseEndsAtMs).toBe(100);
  });
});
