/**
 * Goal: an application sees one store, whatever mode its migration is in, and is told the truth when it cannot.
 * Method: clients on memory stores in virtual time, a controller that walks core's ladder, and stores that stall.
 */
import { describe, expect, it } from 'vitest';
import type { OnlineSource, RegistrationRecord } from '@keyferry/core';
import { KeyferryError } from '@keyferry/core';
import { MemoryOnlineSource, MemoryOnlineTarget, MemorySwitch, MemorySwitchData } from '@keyferry/core/testing';
import { openClient, type ClientOptions, type ClientRecord, type OnlineClient } from '../src/index.ts';
import { Controller } from './controller.ts';
import { VirtualClock } from './virtual-clock.ts';

const requestLifeMs = 2000;
const textOf = (record: ClientRecord | null): string | null => record && Buffer.from(record.value).toString('utf8');

class Stage {
  readonly clock = new VirtualClock();
  readonly data = new MemorySwitchData();
  readonly place = new MemorySwitch(this.data);
  readonly source = new MemoryOnlineSource(() => this.clock.nowMs());
  readonly target = new MemoryOnlineTarget(() => this.clock.nowMs());
  private clients = 0;

  open(options: Partial<ClientOptions> = {}): Promise<OnlineClient> {
    const uniqueId = (): string => String((this.clients += 1));
    const { clock, place, source, target } = this;
    const given = { leaseMs: 3000, requestLifeMs, waitMaxMs: 5000, pollMs: 100, clock, uniqueId };
    return openClient({ name: 'app', switch: place, source, target, ...given, ...options });
  }

  controller(): Controller {
    const { place, source, target, clock } = this;
    const heads = async () => ({ source: source.head(), target: target.head() });
    return new Controller({ place, source, target, clock, requestLifeMs, heads });
  }

  /** Runs to its end, with time going on meanwhile. */
  run<T>(work: Promise<T>): Promise<T> {
    return this.clock.until(work);
  }

  async listed(client: OnlineClient, prefix: string): Promise<Record<string, string | null>> {
    const found: Record<string, string | null> = {};
    for await (const page of client.list(prefix)) for (const record of page) found[record.key] = textOf(record);
    return found;
  }
}

const fault = (code: 'store.timeout' | 'store.request-refused') =>
  new KeyferryError(code, { store: 's', detail: 'planted' });

describe('an application', () => {
  it('finds what it wrote in every mode, from legacy to normal', async () => {
    const stage = new Stage();
    const [one, two] = [await stage.open(), await stage.open()];
    const controller = stage.controller();
    const expected: Record<string, string> = {};
    for (const key of ['/a', '/b', '/c', '/d']) {
      await one.put(key, `legacy${key}`);
      expected[key] = `legacy${key}`;
    }
    const check = async (mode: string) => {
      expect([one.status.mode, two.status.mode]).toEqual([mode, mode]);
      for (const client of [one, two]) {
        expect(await stage.listed(client, '/')).toEqual(expected);
        for (const key of ['/a', '/b', '/c', '/d', '/e'])
          expect(textOf(await client.get(key))).toBe(expected[key] ?? null);
      }
    };
    await check('legacy');
    for (const [goal, mode] of [
      ['apply', 'migrating'],
      ['cutover', 'settled'],
      ['finalize', 'normal'],
    ] as const) {
      const walked = stage.run(controller.walk(goal));
      // While it walks: a write is held back or made, and never lost.
      await stage.run(Promise.all([one.put('/a', `${mode} a`), two.deleteAndGet('/b'), walked]));
      Object.assign(expected, { '/a': `${mode} a` });
      delete expected['/b'];
      await stage.clock.advance(500);
      await check(mode);
      const swapped = await two.compareAndSwap('/b', null, `${mode} b`);
      expect(swapped.kind).toBe('written');
      expected['/b'] = `${mode} b`;
      expect(textOf((await one.putAndGet('/c', `${mode} c`)).previous)).toBe(expected['/c']);
      expected['/c'] = `${mode} c`;
      await check(mode);
    }
    await stage.run(Promise.all([one.close(), two.close()]));
    expect(await stage.place.registrations()).toEqual([]);
  });

  it('compares with a version of the source after its record was copied', async () => {
    const stage = new Stage();
    const client = await stage.open();
    await client.put('/k', 'one');
    const token = (await client.get('/k'))?.token ?? null;
    await stage.run(stage.controller().walk('apply'));
    await stage.clock.advance(500);
    expect((await client.get('/k'))?.token).toEqual(token);
    expect((await client.compareAndSwap('/k', token, 'two')).kind).toBe('written');
    const lost = await client.compareAndSwap('/k', token, 'three');
    expect(lost).toMatchObject({ kind: 'unmet' });
    expect(lost.kind === 'unmet' && textOf(lost.current)).toBe('two');
  });

  it('counts on from the indexes of the source, and finds a record by its number', async () => {
    const stage = new Stage();
    const client = await stage.open();
    const indexAt = async (key: string): Promise<number> => {
      const found = await client.get(key);
      const index = found && client.indexOf(found.token);
      expect(index).not.toBeNull();
      return index ?? 0;
    };
    for (const key of ['/copied', '/changed', '/changed']) await client.put(key, 'in the source');
    const before = [await indexAt('/copied'), await indexAt('/changed')];
    expect(before).toEqual([1, 3]);
    await stage.run(stage.controller().walk('apply'));
    await stage.clock.advance(500);
    expect([await indexAt('/copied'), await indexAt('/changed')]).toEqual(before);
    await client.compareAndSwap('/changed', client.tokenAt(3), 'in the target');
    const after = await indexAt('/changed');
    expect(after).toBeGreaterThan(3);
    await client.put('/new', 'in the target');
    expect(await indexAt('/new')).toBeGreaterThan(after);
    expect((await client.compareAndSwap('/changed', client.tokenAt(3), 'late')).kind).toBe('unmet');
    expect((await client.compareAndSwap('/changed', client.tokenAt(after), 'on time')).kind).toBe('written');
  });

  it('sees a record with a TTL end, and not the one under it', async () => {
    const stage = new Stage();
    const client = await stage.open();
    await client.put('/k', 'old');
    await stage.run(stage.controller().walk('apply'));
    await client.put('/k', 'short', { ttlMs: 1000 });
    expect(textOf(await client.get('/k'))).toBe('short');
    await stage.clock.advance(1001);
    expect(await client.get('/k')).toBeNull();
    expect(await stage.listed(client, '/')).toEqual({});
  });
});

describe('a write that is held back', () => {
  it('is made when the mode allows it', async () => {
    const stage = new Stage();
    const [client, slow] = [await stage.open(), await stage.open({ source: stalled(stage.source, stage.clock, 1500) })];
    const before = slow.put('/slow', 'x');
    const walked = stage.controller().walk('apply');
    await stage.clock.advance(600);
    // It has acknowledged, and waits for the other instance's write to end.
    expect(client.status.mode).toBe('draining');
    let isMade = false;
    const made = client.put('/k', 'v').then(() => (isMade = true));
    await stage.clock.advance(300);
    expect(isMade).toBe(false);
    await stage.run(Promise.all([before, made, walked]));
    expect(textOf(await client.get('/slow'))).toBe('x');
  });

  it('fails in time, with nothing written, and reads go on', async () => {
    const stage = new Stage();
    const client = await stage.open();
    await client.put('/k', 'old');
    // Nobody renews or acknowledges for this one.
    const silent: RegistrationRecord = {
      instance: 'silent' as RegistrationRecord['instance'],
      acknowledged: 0 as RegistrationRecord['acknowledged'],
      renewals: 0,
      leaseMs: 1000,
      since: '',
      goneAt: null,
    };
    await stage.place.writeRegistration(silent, 'absent');
    void stage.controller().walk('apply');
    await stage.clock.advance(1000);
    const held = client.put('/k', 'new').catch((error: unknown) => error);
    expect(textOf(await stage.run(client.get('/k')))).toBe('old');
    expect(await stage.run(held)).toMatchObject({ code: 'client.write-held', details: { mode: 'draining' } });
    expect(textOf(await stage.run(client.get('/k')))).toBe('old');
  });
});

describe('an outcome that nobody knows', () => {
  it('is told, and keeps the mode from going on for one request life', async () => {
    const stage = new Stage();
    const broken = failingOnce(stage.source, fault('store.timeout'));
    const client = await stage.open({ source: broken });
    await expect(client.put('/k', 'v')).rejects.toMatchObject({ code: 'client.outcome-unknown' });
    const walked = stage.controller().walk('apply');
    await stage.clock.advance(requestLifeMs - 200);
    expect((await stage.place.read())?.value.mode).toBe('draining');
    await stage.run(walked);
    expect((await stage.place.read())?.value.mode).toBe('migrating');
  });

  it('is none where the server refused', async () => {
    const stage = new Stage();
    const client = await stage.open({ source: failingOnce(stage.source, fault('store.request-refused')) });
    await expect(client.put('/k', 'v')).rejects.toMatchObject({ code: 'store.request-refused' });
    await stage.run(stage.controller().walk('apply'));
    expect(stage.clock.monotonicMs()).toBeLessThan(requestLifeMs);
  });
});

/** A switch that an instance cannot reach while it is cut off. */
function cutOffSwitch(data: MemorySwitchData) {
  const cut = { isOff: false };
  const place = new Proxy(new MemorySwitch(data), {
    get: (of, name) => {
      const member: unknown = Reflect.get(of, name);
      if (typeof member !== 'function') return member;
      return (...given: unknown[]) =>
        cut.isOff
          ? Promise.reject(fault('store.timeout'))
          : (member as (...args: unknown[]) => unknown).apply(of, given);
    },
  });
  return { place, cut };
}

describe('past its lease, an instance', () => {
  it('starts nothing, tells nothing as certain, and serves again once it has renewed', async () => {
    const stage = new Stage();
    const { place, cut } = cutOffSwitch(stage.data);
    const source = stalled(stage.source, stage.clock, 4000);
    const client = await stage.open({ switch: place, source });
    cut.isOff = true;
    const begunBefore = client.put('/k', 'v').catch((error: unknown) => error);
    await stage.clock.advance(3500);
    expect(client.status.serving).toBe(false);
    const begunAfter = client.get('/k').catch((error: unknown) => error);
    expect(await stage.run(begunBefore)).toMatchObject({ code: 'client.outcome-unknown' });
    expect(await stage.run(begunAfter)).toMatchObject({ code: 'client.not-serving' });
    cut.isOff = false;
    expect(textOf(await stage.run(client.get('/k')))).toBe('v');
    expect(client.status.serving).toBe(true);
  });

  // It read a target that had been cleared behind its back, and told that a key was gone that was always there.
  it('tells nothing of what ran while its lease was over, though it has renewed since', async () => {
    const stage = new Stage();
    const { place, cut } = cutOffSwitch(stage.data);
    const source = stalled(stage.source, stage.clock, 4000, ['read', 'write']);
    const client = await stage.open({ switch: place, source });
    cut.isOff = true;
    const begunBefore = [client.get('/k'), client.put('/k', 'v')].map((work) => work.catch((error: unknown) => error));
    const listed = stage.listed(client, '/').catch((error: unknown) => error); // nothing is there
    await stage.clock.advance(3500);
    cut.isOff = false;
    await stage.clock.advance(300);
    expect(client.status.serving).toBe(true);
    expect(await stage.run(Promise.all(begunBefore))).toMatchObject([
      { code: 'client.not-serving' },
      { code: 'client.outcome-unknown' },
    ]);
    expect(textOf(await stage.run(client.get('/k')))).toBe('v');
    expect(await stage.run(listed)).toMatchObject({ code: 'client.not-serving' });
  });

  it('that was named gone never serves again', async () => {
    const stage = new Stage();
    const client = await stage.open();
    const [entry] = await stage.place.registrations();
    if (entry === undefined) throw new TypeError('nobody has registered');
    await stage.place.writeRegistration(
      { ...entry.value, goneAt: new Date(stage.clock.nowMs()).toISOString() },
      entry.version,
    );
    await stage.clock.advance(1500);
    await expect(client.get('/k')).rejects.toMatchObject({ code: 'client.named-gone' });
  });
});

describe('a registration', () => {
  it('whose answer was lost is found again, and neither doubled nor left behind', async () => {
    const stage = new Stage();
    const client = await stage.open();
    for (const moment of ['after', 'before', 'after'] as const) {
      stage.place.failNext('writeRegistration', moment);
      await stage.clock.advance(1100);
    }
    expect(client.status.serving).toBe(true);
    expect(await stage.place.registrations()).toHaveLength(1);
    await stage.run(client.close());
    expect(await stage.place.registrations()).toEqual([]);
  });

  it('that fails leaves nothing to wait for', async () => {
    const stage = new Stage();
    stage.place.failNext('read', 'before');
    await expect(stage.open()).rejects.toMatchObject({ code: 'store.unreachable' });
    expect(await stage.place.registrations()).toEqual([]);
  });
});

function stalled(
  source: MemoryOnlineSource,
  clock: VirtualClock,
  ms: number,
  kinds: readonly ('read' | 'write')[] = ['write'],
): OnlineSource {
  return {
    role: 'source',
    ask: async (key, request) => {
      if (kinds.includes(request.kind)) await clock.sleep(ms);
      return source.ask(key, request);
    },
    cameAfter: () => false,
    list: async function* list(range) {
      if (kinds.includes('read')) await clock.sleep(ms);
      yield* source.list(range);
    },
    close: () => source.close(),
  };
}

function failingOnce(source: MemoryOnlineSource, error: KeyferryError): OnlineSource {
  let fails = true;
  return {
    role: 'source',
    ask: async (key, request) => {
      if (!fails || request.kind === 'read') return source.ask(key, request);
      fails = false;
      throw error;
    },
    cameAfter: () => false,
    list: (range) => source.list(range),
    close: () => source.close(),
  };
}
