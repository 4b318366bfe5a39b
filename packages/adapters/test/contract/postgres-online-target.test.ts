/**
 * Goal: tables as the target of an online migration hold where transactions meet, and under load: a delete and the copy of its key,
 * many writers and a change of the switch, a list of nothing but tombstones. What every target promises is in online.test.ts.
 * Method: a real server; locks of an application hold the one transaction in its middle until the other one waits for it.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import {
  keyFromText,
  type ChunkId,
  type Fence,
  type Key,
  type MigrationId,
  type OnlineTarget,
  type SwitchEpoch,
  type SwitchRecord,
  type Version,
} from '@keyferry/core';
import { serverOrSkip, startPostgres, type PostgresServer } from '@keyferry/servers';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openPostgresOnlineTarget, openPostgresSwitch } from '../../src/postgres/index.ts';
import { connectTo, mappingOf, openStore } from './postgres-fixture.ts';

const available = await serverOrSkip('postgres-15');

describe.skipIf(!available.ok)(`PostgreSQL 15 as an online target${available.note}`, () => {
  let server: PostgresServer;
  beforeAll(async () => {
    server = await startPostgres();
  });
  afterAll(() => server.stop());

  const connection = () => {
    const { host, port, database, user, password } = server;
    return { name: 'new', host, port, database, auth: { user, password } };
  };
  let made = 0;
  const makeTable = async () => {
    made += 1;
    const table = `target_${made}`;
    await server.psql(`CREATE TABLE ${table} (name text COLLATE "C" PRIMARY KEY, body bytea NOT NULL)`);
    const tables = [mappingOf(table, `${table}/{name...}`, { value: { column: 'body' } })];
    const open = (switchKey?: string) =>
      openPostgresOnlineTarget({ ...connection(), tables, migration: table, switchKey });
    return { table, tables, open, key: (name: string): Key => keyFromText(`${table}/${name}`) };
  };
  const unseen = { epoch: 1 as SwitchEpoch, version: null };
  const gone = { kind: 'write', write: { kind: 'delete' }, expect: 'any', tombstone: 'write' } as const;
  const removeFrom = (target: OnlineTarget, key: Key) => target.ask(key, gone, unseen);

  /** A target, and backfill's own writer to it. */
  const openBoth = async () => {
    const place = await makeTable();
    const target = place.open();
    const backfill = openStore(server, { tables: place.tables });
    const control = backfill.control(place.table as MigrationId);
    const fence: Fence = { attempt: 1, token: 1 };
    await control.raiseEpoch(fence);
    const claimed = await control.claimChunk('c1' as ChunkId, fence, fence);
    if (claimed.kind !== 'claimed') throw new Error('nobody else claims it');
    const copy = async (key: Key) => {
      const put = { kind: 'put', key, value: Buffer.from('v'), expiresAtMs: null, expect: 'absent' } as const;
      const [outcome] = await claimed.writer.write([{ ...put, origin: '7' as Version }]);
      return outcome?.kind;
    };
    const close = async () => void (await Promise.all([target.close(), backfill.close()]));
    return { ...place, target, copy, close };
  };
  const waiting = (what: string) =>
    expect
      .poll(() => server.psql(`SELECT count(*) FROM pg_locks WHERE NOT granted AND ${what}`), {
        interval: 10,
        timeout: 60_000,
      })
      .toBe('1\n');
  const forATransaction = `locktype = 'transactionid'`;
  const forTheTombstones = `relation = 'keyferry.tombstones'::regclass`;
  const isGone = { kind: 'read', pair: { record: null, tombstone: true } };
  const read = { kind: 'read' } as const;

  it('has a delete wait for a copy that looked before it, and take it away', async () => {
    const { target, copy, key, table, close } = await openBoth();
    const application = await connectTo(server);
    await application.query(`BEGIN; INSERT INTO ${table} VALUES ('k', 'other')`);
    const copied = copy(key('k')); // no tombstone so far; it waits for what becomes of that row
    await waiting(forATransaction);
    const removed = removeFrom(target, key('k'));
    await waiting(forTheTombstones);
    await application.query('ROLLBACK');
    expect(await copied).toBe('written');
    expect(await removed).toMatchObject({ kind: 'written', previous: { record: { copiedFrom: '7' } } });
    expect(await target.ask(key('k'), read, unseen)).toEqual(isGone);
    await Promise.all([application.end(), close()]);
  });

  it('has a copy wait for a delete that looked before it, and see its tombstone', async () => {
    const { target, copy, key, table, close } = await openBoth();
    const application = await connectTo(server);
    await server.psql(`INSERT INTO ${table} VALUES ('k', 'other')`);
    await application.query(`BEGIN; DELETE FROM ${table}`);
    const removed = removeFrom(target, key('k'));
    await waiting(forATransaction);
    const copied = copy(key('k'));
    await waiting(forTheTombstones);
    await application.query('COMMIT');
    expect(await removed).toMatchObject({ kind: 'written', previous: { record: null } });
    expect(await copied).toBe('tombstoned');
    expect(await target.ask(key('k'), read, unseen)).toEqual(isGone);
    await Promise.all([application.end(), close()]);
  });

  it('lets a delete and the copy of the same key meet in any way, and the later one sees the other', async () => {
    const { target, copy, key, close } = await openBoth();
    for (let i = 0; i < 60; i += 1) {
      const k = key(`k${i}`);
      const after = async <T>(leadMs: number, act: () => Promise<T>): Promise<T> => {
        if (leadMs > 0) await sleep(leadMs);
        return await act();
      };
      const [copied, removed] = await Promise.all([
        after(i % 4, () => copy(k)),
        after(Math.floor(i / 4) % 4, () => removeFrom(target, k)),
      ]);
      expect(['written', 'tombstoned']).toContain(copied);
      // Whichever came first.
      const previous = copied === 'written' ? { record: { copiedFrom: '7' } } : { record: null };
      expect(removed).toMatchObject({ kind: 'written', previous });
      expect(await target.ask(k, read, unseen)).toEqual(isGone);
    }
    await close();
  });

  const record: SwitchRecord = {
    migration: 'm' as MigrationId,
    mode: 'migrating',
    heldFrom: null,
    committed: null,
    epoch: 1 as SwitchEpoch,
    announcedAt: '2026-11-21T06:30:00.000Z',
    frozenAt: null,
    watchFrom: null,
    indexOffset: null,
  };
  /** A switch with a mode in it, which `change` moves on. */
  const announce = async (switchKey: string) => {
    const place = openPostgresSwitch({ ...connection(), key: switchKey, statementTimeoutMs: 10_000 });
    const announced = await place.write(record, 'absent');
    if (announced.kind !== 'written') throw new Error('nobody else announces');
    return {
      seen: { epoch: record.epoch, version: announced.version },
      change: () => place.write({ ...record, epoch: 2 as SwitchEpoch }, announced.version),
      close: () => place.close(),
    };
  };
  const putAny = {
    kind: 'write',
    write: { kind: 'put', value: Buffer.from('v'), ttlMs: null },
    expect: 'any',
    tombstone: 'clear',
  } as const;

  it('has a change of the switch wait for a write that compared it, and the next write for the change', async () => {
    const { open, key, table } = await makeTable();
    const { seen, change, close } = await announce('held');
    const target = open('held');
    const application = await connectTo(server);
    await application.query(`BEGIN; INSERT INTO ${table} VALUES ('k', 'other')`);
    const written = target.ask(key('k'), putAny, seen);
    await waiting(forATransaction);
    const changed = change();
    const forTheSwitch = `locktype = 'advisory' AND mode`;
    await waiting(`${forTheSwitch} = 'ExclusiveLock'`);
    const late = target.ask(key('late'), putAny, seen);
    await waiting(`${forTheSwitch} = 'ShareLock'`);
    await application.query('ROLLBACK');
    expect((await written).kind).toBe('written');
    expect((await changed).kind).toBe('written');
    expect((await late).kind).toBe('epoch-moved');
    await Promise.all([application.end(), target.close(), close()]);
  });

  it('lets a change of the switch through while writers never pause, and no write of the former mode behind it', async () => {
    const { open, key } = await makeTable();
    const { seen, change, close } = await announce('busy');
    const instances = Array.from({ length: 4 }, () => open('busy'));
    let written = 0;
    let isOver = false;
    /** @returns how its last write ended */
    const writeOn = async (target: OnlineTarget, k: Key): Promise<string> => {
      for (;;) {
        const beganBehind = isOver;
        const answer = await target.ask(k, putAny, seen);
        if (answer.kind !== 'written') return answer.kind;
        if (beganBehind) return 'written behind the change';
        written += 1;
      }
    };
    const writers = instances.flatMap((target, nth) =>
      Array.from({ length: 6 }, (_, i) => writeOn(target, key(`${nth}-${i}`))),
    );
    const endings = Promise.all(writers);
    try {
      await expect.poll(() => written, { interval: 10, timeout: 60_000 }).toBeGreaterThan(200);
      expect((await change()).kind).toBe('written');
    } finally {
      isOver = true;
      await endings.catch(() => undefined); // asserted on below
      await Promise.all([close(), ...instances.map((each) => each.close())]);
    }
    expect(new Set(await endings)).toEqual(new Set(['epoch-moved']));
  });

  it('lists any number of tombstones page by page, between rows and behind the last one', async () => {
    const { open, key, table } = await makeTable();
    const target = open();
    await removeFrom(target, key('0')); // makes the tables
    await server.psql(`INSERT INTO ${table} VALUES ('m', 'v');
      INSERT INTO keyferry.tombstones SELECT '${table}', convert_to('${table}/' || side || to_char(i, 'FM0000'), 'UTF8')
        FROM unnest(ARRAY['a', 'z']) side, generate_series(1, 1200) i`);
    const pages: number[] = [];
    const keys: Key[] = [];
    for await (const page of target.list({ start: key(''), end: key('~') })) {
      pages.push(page.length);
      keys.push(...page.map((entry) => entry.key));
    }
    expect(Math.max(...pages)).toBeLessThanOrEqual(500);
    expect(keys).toHaveLength(2402);
    expect(keys).toEqual(keys.toSorted());
    expect(keys).toContain(key('m'));
    await target.close();
  });
});
