/**
 * Goal: an application that is moved by `replicate` writes where it is led, holds its writes when it is told to, and says
 * that they are over only when they are (SPEC R105).
 * Method: followers on a memory switch in virtual time; writes that take long, fail, or end past the lease.
 */
import { describe, expect, it } from 'vitest';
import {
  KeyferryError,
  type MigrationId,
  type PrimaryRecord,
  type PrimarySide,
  type SwitchEpoch,
} from '@keyferry/core';
import { MemoryPrimarySwitch } from '@keyferry/core/testing';
import { followPrimary, type Follower, type FollowerOptions } from '../src/index.ts';
import { VirtualClock } from './virtual-clock.ts';

const requestLifeMs = 2000;
const leaseMs = 3000;
const waitMaxMs = 5000;

class Stage {
  readonly clock = new VirtualClock();
  readonly place = new MemoryPrimarySwitch();
  private followers = 0;

  follow(options: Partial<FollowerOptions> = {}): Promise<Follower> {
    const uniqueId = (): string => String((this.followers += 1));
    const { clock, place } = this;
    const given = { leaseMs, requestLifeMs, waitMaxMs, pollMs: 100, clock, uniqueId };
    return this.clock.until(followPrimary({ name: 'app', switch: place, ...given, ...options }));
  }

  async announce(primary: PrimarySide, writes: PrimaryRecord['writes']): Promise<SwitchEpoch> {
    const before = await this.place.read();
    const epoch = ((before?.value.epoch ?? 0) + 1) as SwitchEpoch;
    const announcedAt = new Date(this.clock.nowMs()).toISOString();
    const record = { migration: 'm' as MigrationId, epoch, primary, writes, announcedAt, deadlineAt: null };
    await this.place.write(record, before?.version ?? 'absent');
    return epoch;
  }

  async acknowledged(): Promise<readonly number[]> {
    return (await this.place.instances.registrations()).map(({ value }) => value.acknowledged);
  }
}

/** Work that is over when somebody says so. */
function slowWork() {
  const sides: PrimarySide[] = [];
  let end: (error?: Error) => void = () => undefined;
  const work = (side: PrimarySide): Promise<void> => {
    sides.push(side);
    return new Promise((resolve, reject) => {
      end = (error) => (error === undefined ? resolve() : reject(error));
    });
  };
  return { sides, work, end: (error?: Error) => end(error) };
}

const nothing = async (): Promise<void> => undefined;
const sideOf = async (side: PrimarySide): Promise<PrimarySide> => side;

describe('a follower', () => {
  it('reads and writes in the store that is primary, from the source on', async () => {
    const stage = new Stage();
    const follower = await stage.follow();
    expect(await follower.write('/a', sideOf)).toBe('source');
    await stage.announce('source', 'held');
    await stage.announce('target', 'open');
    await stage.clock.advance(200);
    expect(await follower.write('/a', sideOf)).toBe('target');
    expect(await follower.read(sideOf)).toBe('target');
    expect(follower.status).toMatchObject({ primary: 'target', writes: 'open', epoch: 2, serving: true });
  });

  it('keeps its writes back while they are held, reads on, and writes where it was led', async () => {
    const stage = new Stage();
    const follower = await stage.follow();
    await stage.announce('source', 'held');
    await stage.clock.advance(200);
    const write = follower.write('/a', sideOf);
    expect(await stage.clock.until(follower.read(sideOf))).toBe('source');
    await stage.announce('target', 'open');
    expect(await stage.clock.until(write)).toBe('target');
  });

  it('fails a write that would wait for too long, and has done nothing', async () => {
    const stage = new Stage();
    const follower = await stage.follow();
    await stage.announce('source', 'held');
    await stage.clock.advance(200);
    const { sides, work } = slowWork();
    await expect(stage.clock.until(follower.write('/a', work))).rejects.toMatchObject({
      code: 'client.write-held',
      details: { key: '/a' },
    });
    expect(sides).toEqual([]);
  });

  it('acknowledges a hold when its last write is over, and not before', async () => {
    const stage = new Stage();
    const follower = await stage.follow();
    const { work, end } = slowWork();
    const write = follower.write('/a', work);
    const epoch = await stage.announce('source', 'held');
    await stage.clock.advance(requestLifeMs * 2);
    expect(await stage.acknowledged()).toEqual([0]);
    end();
    await write;
    await stage.clock.advance(50);
    expect(await stage.acknowledged()).toEqual([epoch]);
  });

  it('does not wait for reads: what they do can take no effect', async () => {
    const stage = new Stage();
    const follower = await stage.follow();
    const { work } = slowWork();
    void follower.read(work);
    const epoch = await stage.announce('source', 'held');
    await stage.clock.advance(200);
    expect(await stage.acknowledged()).toEqual([epoch]);
  });

  it('passes on what a write failed with, and acknowledges nothing for the life of a request after it', async () => {
    const stage = new Stage();
    const follower = await stage.follow();
    const { work, end } = slowWork();
    const write = follower.write('/a', work);
    const epoch = await stage.announce('source', 'held');
    end(new RangeError('timed out'));
    await expect(write).rejects.toThrow('timed out');
    await stage.clock.advance(requestLifeMs - 200);
    expect(await stage.acknowledged()).toEqual([0]);
    await stage.clock.advance(400);
    expect(await stage.acknowledged()).toEqual([epoch]);
  });

  it('acknowledges at once where the application knows that nothing was written', async () => {
    const stage = new Stage();
    const follower = await stage.follow({ wroteNothing: (error) => error instanceof RangeError });
    const { work, end } = slowWork();
    const write = follower.write('/a', work);
    const epoch = await stage.announce('source', 'held');
    end(new RangeError('refused'));
    await expect(write).rejects.toThrow('refused');
    await stage.clock.advance(200);
    expect(await stage.acknowledged()).toEqual([epoch]);
  });

  it('tells nothing as certain that ended past its lease, and starts nothing then', async () => {
    const stage = new Stage();
    const follower = await stage.follow();
    const { sides, work, end } = slowWork();
    const write = follower.write('/a', work);
    const { instances } = stage.place;
    const later = new KeyferryError('store.timeout', { store: 's', detail: 'planted' });
    for (let i = 0; i < 400; i += 1) instances.failNext('writeRegistration', 'before', later);
    await stage.clock.advance(leaseMs * 2);
    expect(follower.status.serving).toBe(false);
    end();
    await expect(write).rejects.toMatchObject({ code: 'client.outcome-unknown', details: { key: '/a' } });
    await expect(stage.clock.until(follower.write('/b', work))).rejects.toMatchObject({ code: 'client.not-serving' });
    expect(sides).toEqual(['source']);
  });

  it('never serves again once an operator named it gone', async () => {
    const stage = new Stage();
    const follower = await stage.follow();
    const { instances } = stage.place;
    const [there] = await instances.registrations();
    if (there === undefined) expect.unreachable('it is not registered');
    await instances.writeRegistration({ ...there.value, goneAt: '2030-01-31T12:00:00.000Z' }, there.version);
    await stage.clock.advance(leaseMs);
    await expect(follower.write('/a', nothing)).rejects.toMatchObject({ code: 'client.named-gone' });
  });

  it('leaves when it is closed, and only once its writes are over', async () => {
    const stage = new Stage();
    const follower = await stage.follow();
    const { work, end } = slowWork();
    const write = follower.write('/a', work);
    const closed = follower.close();
    await stage.clock.advance(500);
    expect(await stage.acknowledged()).toHaveLength(1);
    end();
    await write;
    await stage.clock.until(closed);
    expect(await stage.acknowledged()).toEqual([]);
  });

  it('cannot follow where a program or a person leads applications', async () => {
    const stage = new Stage();
    const place = Object.assign(new MemoryPrimarySwitch(), { instances: null });
    await expect(stage.follow({ switch: place })).rejects.toMatchObject({ code: 'capability.missing' });
  });
});
