/**
 * Goal: watchers of a target that knows its state alone see the last word of each key, nothing of a migration, and are told when
 * that cannot be kept (SPEC R170). Method: as watch.test.ts, on a memory store that is looked at and has no log.
 */
import { describe, expect, it } from 'vitest';
import {
  isKeyferryError,
  KeyferryError,
  keyFromText,
  type OnlineTarget,
  type Switch,
  type TargetMoves,
} from '@keyferry/core';
import type { ClientWatch } from '../src/index.ts';
import { byKey, collect, idle, override, play, Stage, walked } from './watch-stage.ts';

/** In the same order, with others between them. */
function isPartOf(some: readonly string[], all: readonly string[]): boolean {
  let at = 0;
  for (const each of all) if (each === some[at]) at += 1;
  return at === some.length;
}

describe('a watch of a target that knows its state', () => {
  it('shows the last word of each key, and nothing that no application did', async () => {
    let unseen = 0;
    for (let seed = 1; seed <= 60; seed += 1) {
      const stage = new Stage('state');
      const { shown } = await stage.run(play(stage, seed));
      for (const each of shown) {
        for (const [nth, all] of byKey(stage.done).entries()) {
          const some = byKey(each)[nth] ?? [];
          expect(isPartOf(some, all), `seed ${seed}: ${some.join(', ')} of ${all.join(', ')}`).toBe(true);
          // Of what came and went between two looks nothing is left to be shown.
          const isGone = all.at(-1)?.endsWith(' gone') === true;
          expect([all.at(-1), ...(isGone && some.length === 0 ? [undefined] : [])]).toContain(some.at(-1));
          unseen += all.length - some.length;
        }
      }
    }
    expect(unseen).toBeGreaterThan(0);
  }, 60_000);

  it('is lost where it did not look while all was copied and tombstones were left', async () => {
    const stage = new Stage('state');
    const [prompt, behind] = [{ isStuck: false }, { isStuck: false }];
    const stuck = (by: { readonly isStuck: boolean }): OnlineTarget => {
      const open: TargetMoves['open'] = async (range, after) => {
        const moves = await stage.target.moves.open(range, after);
        const read: typeof moves.read = async (options) => {
          while (by.isStuck) await stage.clock.sleep(10);
          return moves.read(options);
        };
        return override(moves, 'read', read);
      };
      return override<OnlineTarget, 'moves'>(stage.target, 'moves', override(stage.target.moves, 'open', open));
    };
    const left = { kind: 'put', value: Buffer.from('from before'), ttlMs: null } as const;
    await stage.source.ask(keyFromText(idle), { kind: 'write', write: left, expect: 'any' });
    const clients = [await stage.open({ target: stuck(prompt) }), await stage.open({ target: stuck(behind) })];
    await walked(stage, 'apply');
    const shown: string[] = [];
    const [first, second] = await Promise.all(clients.map((client) => client.watch('/')));
    const collecting = collect(first as ClientWatch, shown);
    const lost = collect(second as ClientWatch, []).catch((error: unknown) => error);
    // One does not look again before the end, the other one does.
    await stage.clock.advance(500);
    behind.isStuck = true;
    await walked(stage, 'finalize');
    behind.isStuck = false;
    expect(isKeyferryError(await stage.run(lost), 'client.watch-lost')).toBe(true);
    await clients[0]?.put('/k', 'v');
    await stage.clock.advance(500);
    for (const client of clients) await stage.run(client.close());
    await collecting;
    expect(shown).toEqual(['/k v']);
  });

  it('fails where it asks the switch and the answer will not become another one, and repeats what passes', async () => {
    const stage = new Stage('state');
    const fault = { code: null as 'store.unreachable' | 'store.permission-denied' | null };
    const read: Switch['read'] = async () => {
      if (fault.code === null) return stage.place.read();
      throw new KeyferryError(fault.code, { store: 'memory', detail: 'planted' });
    };
    const problems: unknown[] = [];
    const onProblem = (error: unknown): void => void problems.push(error);
    const client = await stage.open({ switch: override<Switch, 'read'>(stage.place, 'read', read), onProblem });
    await walked(stage, 'apply');
    const ended = { with: null as unknown };
    const collecting = collect(await client.watch('/'), []).catch((error: unknown) => (ended.with = error));
    fault.code = 'store.unreachable';
    await stage.clock.advance(100);
    expect(problems.length).toBeGreaterThan(0);
    expect(ended.with).toBeNull();
    fault.code = null;
    await stage.clock.advance(500);
    fault.code = 'store.permission-denied';
    await stage.run(collecting);
    expect(isKeyferryError(ended.with, 'store.permission-denied')).toBe(true);
    fault.code = null;
    await stage.run(client.close());
  });
});
