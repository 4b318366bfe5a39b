/**
 * Goal: a key that applications follow by themselves says `true` exactly from cutover on, and a mode counts as taken no sooner
 * than a request's life after the key is known to say so (SPEC R113).
 * Method: the switch on memory, with a clock of its own; processes that die between record and key.
 */
import type { Clock, SwitchEpoch, SwitchRecord } from '@keyferry/core';
import { MemoryPlainSwitch, MemorySwitch, MemorySwitchData } from '@keyferry/core/testing';
import { describe, expect, it } from 'vitest';
import { GuideSwitch } from './guide-switch.ts';

const requestLifeMs = 1000;
const recordOf = (epoch: number, mode: SwitchRecord['mode']): SwitchRecord =>
  ({ migration: 'm', mode, epoch: epoch as SwitchEpoch, heldFrom: null, committed: null, announcedAt: 'now' }) as never;

class Stage {
  nowMs = 0;
  readonly data = new MemorySwitchData();
  readonly plain = new MemoryPlainSwitch(new MemorySwitchData());

  open(leads = true): GuideSwitch {
    const clock: Pick<Clock, 'monotonicMs'> = { monotonicMs: () => this.nowMs };
    return new GuideSwitch({ record: new MemorySwitch(this.data), plain: this.plain, requestLifeMs, clock, leads });
  }

  async acknowledged(place: GuideSwitch): Promise<number | undefined> {
    return (await place.registrations())[0]?.value.acknowledged;
  }
}

describe('a key that applications follow by themselves', () => {
  it('turns true at settled, stays so, and turns back where settled is given up', async () => {
    const stage = new Stage();
    const place = stage.open();
    let version: 'absent' | Awaited<ReturnType<GuideSwitch['read']>> = 'absent';
    const said: string[] = [];
    const modes = ['draining', 'migrating', 'settled', 'migrating', 'settled', 'normal'] as const;
    for (const [i, mode] of modes.entries()) {
      const expected = version === 'absent' ? version : (version?.version ?? 'absent');
      await place.write(recordOf(i + 1, mode), expected);
      version = await place.read();
      said.push(`${mode} ${await stage.plain.isOver()}`);
    }
    expect(said).toEqual([
      'draining false',
      'migrating false',
      'settled true',
      'migrating false',
      'settled true',
      'normal true',
    ]);
  });

  it('is taken for followed after a life of a request, and by a process that told it itself', async () => {
    const stage = new Stage();
    const place = stage.open();
    expect(await stage.acknowledged(place)).toBe(0); // nothing is announced
    await place.write(recordOf(1, 'draining'), 'absent');
    stage.nowMs = requestLifeMs;
    expect(await stage.acknowledged(place)).toBe(0);
    stage.nowMs += 1;
    expect(await stage.acknowledged(place)).toBe(1);
    const next = stage.open();
    stage.nowMs += 10 * requestLifeMs;
    expect(await stage.acknowledged(next)).toBe(0); // whether the one before came to the key is not known
    await next.read();
    stage.nowMs += requestLifeMs + 1;
    expect(await stage.acknowledged(next)).toBe(1);
  });

  it('that a process died before is written by the next, and by nobody who only looks', async () => {
    const stage = new Stage();
    await new MemorySwitch(stage.data).write(recordOf(1, 'settled'), 'absent');
    await stage.open(false).read();
    expect(await stage.plain.isOver()).toBe(false);
    await stage.open().read();
    expect(await stage.plain.isOver()).toBe(true);
  });
});
