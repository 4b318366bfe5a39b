/**
 * Goal: an instance that lapsed begins nothing before a read of the switch that was sent after its renewal (SPEC R28), whoever
 * else of it reads. Method: a memory switch in virtual time whose answers stall.
 */
import type { InstanceId, Switch } from '@keyferry/core';
import { MemorySwitch } from '@keyferry/core/testing';
import { describe, expect, it } from 'vitest';
import { VirtualClock } from '../testing/virtual-clock.ts';
import { override } from '../testing/watch-stage.ts';
import { modePart, modesOf } from './mode-presence.ts';
import { Presence } from './presence.ts';

/** What is sent while it is shut takes effect at once; its answer comes when it is let go. */
class Stall {
  isShut = false;
  private readonly held: (() => void)[] = [];

  get count(): number {
    return this.held.length;
  }

  async answer<T>(effect: Promise<T>): Promise<T> {
    const { isShut } = this;
    const result = await effect;
    if (isShut) await new Promise<void>((resolve) => this.held.push(resolve));
    return result;
  }

  /** The oldest answer of all that are held. */
  letGo(): void {
    this.held.shift()?.();
  }
}

const settings = { leaseMs: 3000, requestLifeMs: 400, waitMaxMs: 2000, pollMs: 40 };

describe('an instance that lapsed', () => {
  it('does not take an answer that was asked for before its renewal as the look that must follow it', async () => {
    const clock = new VirtualClock();
    const place = new MemorySwitch();
    const [reads, renewals] = [new Stall(), new Stall()];
    const read: Switch['read'] = () => reads.answer(place.read());
    const renew: Switch['writeRegistration'] = (next, expected) =>
      renewals.answer(place.writeRegistration(next, expected));
    const slow = override<Switch, 'writeRegistration'>(
      override<Switch, 'read'>(place, 'read', read),
      'writeRegistration',
      renew,
    );
    const instance = 'app-1' as InstanceId;
    const presence = new Presence(modesOf(slow), instance, clock, settings, () => undefined, modePart(false));
    await clock.until(presence.start());
    expect(presence.isServing()).toBe(true);

    renewals.isShut = true;
    while (renewals.count === 0) await clock.advance(10);
    reads.isShut = true;
    const asked = presence.ask();
    while (presence.isServing()) await clock.advance(10);
    expect(reads.count).toBe(1);
    // Of the lease that this renews there is some left.
    renewals.isShut = false;
    renewals.letGo();
    await clock.advance(20);
    // The loop has renewed, and looks; the old answer comes first.
    expect([reads.count, presence.isServing()]).toEqual([2, false]);
    reads.letGo();
    await clock.until(asked);
    expect([presence.isServing(), presence.begin()]).toEqual([false, null]);

    reads.isShut = false;
    reads.letGo();
    await clock.advance(20);
    expect(presence.isServing()).toBe(true);
    await clock.until(presence.leave());
  });
});
