/**
 * Goal: watchers see what applications change, once, in the order of each key, and nothing of a migration (SPEC R61, R62).
 * Method: seeded: instances write at random on late memory stores while a controller goes forward and gives up, backfill
 * copies, and a reverse tail writes every change back into the source. What the stores did for applications is the oracle.
 */
import { describe, expect, it } from 'vitest';
import {
  isKeyferryError,
  KeyferryError,
  keyFromText,
  type OnlineSource,
  type OnlineTargetRecord,
  type Position,
  type Switch,
  type SwitchEntry,
  type SwitchEpoch,
  type SwitchRecord,
  type TargetMove,
  type TargetMoves,
} from '@keyferry/core';
import type { ClientWatch } from '../src/index.ts';
import { Controller } from './controller.ts';
import { byKey, chanceOf, collect, override, play, Stage, textOf, walked, type Played } from './watch-stage.ts';

const matches = (stage: Stage, { shown }: Played): boolean =>
  shown.every((each) => JSON.stringify(byKey(each)) === JSON.stringify(byKey(stage.done)));

describe('watchers', () => {
  it.each([1, 41, 81])(
    'are shown what applications did, and nothing else, in the seeds from %i on',
    async (first) => {
      let carried = 0;
      for (let seed = first; seed < first + 40; seed += 1) {
        const stage = new Stage();
        const played = await stage.run(play(stage, seed));
        carried += played.carried;
        expect(stage.done.length, `seed ${seed}`).toBeGreaterThan(20);
        for (const shown of played.shown) expect(byKey(shown), `seed ${seed}`).toEqual(byKey(stage.done));
      }
      // Else nothing would tell a watcher that is shown the reverse tail from one that is not.
      expect(carried).toBeGreaterThan(100);
    },
    60_000,
  );

  it('are shown the reverse tail where the freeze is told too late, and that is found', async () => {
    const stage = new Stage();
    const late: Switch = override(stage.place, 'read', async () => {
      const entry = await stage.place.read();
      if (entry === null || entry.value.frozenAt === null) return entry;
      return { ...entry, value: { ...entry.value, frozenAt: String(Number(entry.value.frozenAt) + 5) as Position } };
    });
    expect(matches(stage, await stage.run(play(stage, 1, { switch: late })))).toBe(false);
  }, 60_000);

  it('are shown copies where these have no origin, and that is found', async () => {
    const stage = new Stage();
    const { target } = stage;
    const open: TargetMoves['open'] = async (range, after) => {
      const moves = await target.moves.open(range, after);
      return override(moves, 'read', async (options) => {
        const step = await moves.read(options);
        if (step.kind === 'lost') return step;
        return { ...step, moves: step.moves.map(withoutOrigin) };
      });
    };
    const blind = override(stage.late(chanceOf(1)).target, 'moves', override(target.moves, 'open', open));
    expect(matches(stage, await stage.run(play(stage, 1, { target: blind })))).toBe(false);
  }, 60_000);
});

describe('a watch', () => {
  it('shows the delete of a key that was never copied, once, and the end of a TTL', async () => {
    const stage = new Stage();
    const client = await stage.open();
    await client.put('/only/in/the/source', 'old');
    const target = override(stage.target, 'copy', () => undefined);
    await stage.run(new Controller({ ...stage.controlled(), target }).walk('apply'));
    await stage.clock.advance(500);
    const shown: string[] = [];
    const collecting = collect(await client.watch('/'), shown);
    await client.delete('/only/in/the/source');
    await client.delete('/only/in/the/source');
    await client.put('/ends', 'soon', { ttlMs: 1000 });
    await stage.clock.advance(2000);
    await client.get('/ends');
    await stage.clock.advance(500);
    await stage.run(client.close());
    await collecting;
    expect(shown).toEqual(['/only/in/the/source gone', '/ends soon', '/ends gone']);
  });

  it('shows its own prefix alone, and ends with its loop, its client, or by itself', async () => {
    const stage = new Stage();
    const client = await stage.open();
    const [left, closed, ended] = [await client.watch('/app/'), await client.watch('/app/'), await client.watch('/')];
    await client.put('/other', 'v');
    await client.put('/app/k', 'v');
    const firstOf = async (watch: ClientWatch): Promise<string | null> => {
      for await (const [change] of watch) return change === undefined ? null : textOf(change);
      return null;
    };
    expect(await stage.run(firstOf(left))).toBe('/app/k v');
    await closed.close();
    expect(await stage.run(firstOf(closed))).toBeNull();
    const all: string[] = [];
    const collecting = collect(ended, all);
    await stage.clock.advance(100);
    await stage.run(client.close());
    await collecting;
    expect(all).toEqual(['/other v', '/app/k v']);
  });

  it('keeps back what it cannot judge, while its instance has not heard yet how the draining ended', async () => {
    const stage = new Stage();
    const heard: { last: SwitchEntry<SwitchRecord> | null; isStuck: boolean } = { last: null, isStuck: false };
    const slow: Switch = override(stage.place, 'read', async () => {
      if (!heard.isStuck) heard.last = await stage.place.read();
      heard.isStuck ||= heard.last?.value.mode === 'draining';
      return heard.last;
    });
    const client = await stage.open({ switch: slow });
    const shown: string[] = [];
    const collecting = collect(await client.watch('/'), shown);
    await client.put('/k', 'old');
    await walked(stage, 'apply');
    expect((await stage.place.read())?.value.mode).toBe('migrating');
    // Another instance, which has heard, and the reverse tail behind it.
    const write = { kind: 'put', value: Buffer.from('new'), ttlMs: null } as const;
    const seen = { epoch: 3 as SwitchEpoch, version: null };
    await stage.target.ask(keyFromText('/k'), { kind: 'write', write, expect: 'any', tombstone: 'clear' }, seen);
    await stage.source.ask(keyFromText('/k'), { kind: 'write', write, expect: 'any' });
    await stage.clock.advance(500);
    expect([client.status.mode, shown]).toEqual(['draining', ['/k old']]);
    Object.assign(heard, { isStuck: false, last: null });
    await stage.clock.advance(500);
    expect([client.status.mode, shown]).toEqual(['migrating', ['/k old', '/k new']]);
    await stage.run(client.close());
    await collecting;
  });

  it('is lost when the migration is taken back, and the next one sees the source again', async () => {
    const stage = new Stage();
    const client = await stage.open();
    await walked(stage, 'apply');
    const lost = collect(await client.watch('/'), []).catch((error: unknown) => error);
    const { value, version } = (await stage.place.read()) ?? {};
    expect(value?.mode).toBe('migrating');
    if (value === undefined || version === undefined) return;
    await stage.place.write(
      { ...value, mode: 'returning', committed: 'legacy', epoch: (value.epoch + 1) as SwitchEpoch },
      version,
    );
    expect(isKeyferryError(await stage.run(lost), 'client.watch-lost')).toBe(true);
    await stage.clock.advance(500);
    const shown: string[] = [];
    const collecting = collect(await client.watch('/'), shown);
    await stage.source.ask(keyFromText('/k'), {
      kind: 'write',
      write: { kind: 'put', value: Buffer.from('home'), ttlMs: null },
      expect: 'any',
    });
    await stage.clock.advance(500);
    await stage.run(client.close());
    await collecting;
    expect(shown).toEqual(['/k home']);
  });

  it('goes on behind a read that failed, and ends with what can never be read', async () => {
    const stage = new Stage();
    const { source } = stage;
    let failures = 0;
    const failing = (code: 'store.timeout' | 'store.permission-denied'): OnlineSource =>
      override(source, 'moves', {
        ...source.moves,
        open: async (range, after) => {
          const moves = await source.moves.open(range, after);
          return override(moves, 'read', async (options) => {
            failures += 1;
            if (failures <= 2) throw new KeyferryError(code, { store: 's', detail: 'planted' });
            return moves.read(options);
          });
        },
      });
    const problems: unknown[] = [];
    const client = await stage.open({
      source: failing('store.timeout'),
      onProblem: (problem) => problems.push(problem),
    });
    const shown: string[] = [];
    const collecting = collect(await client.watch('/'), shown);
    await client.put('/k', 'v');
    await stage.clock.advance(3000);
    await stage.run(client.close());
    await collecting;
    expect([shown, problems.length]).toEqual([['/k v'], 2]);
    failures = 0;
    const denied = await stage.open({ source: failing('store.permission-denied') });
    await expect(stage.run(collect(await denied.watch('/'), []))).rejects.toMatchObject({
      code: 'store.permission-denied',
    });
  });

  it('is refused where a store cannot tell its changes', async () => {
    const stage = new Stage();
    const mute = override<OnlineSource, 'moves'>(stage.source, 'moves', undefined);
    const client = await stage.open({ source: mute });
    await expect(client.watch('/')).rejects.toMatchObject({ code: 'capability.missing' });
  });
});

const withoutOrigin = (move: TargetMove<OnlineTargetRecord>): TargetMove<OnlineTargetRecord> =>
  move.change?.kind === 'put'
    ? { ...move, change: { kind: 'put', record: { ...move.change.record, copiedFrom: null } } }
    : move;
