/**
 * Goal: a watch costs an idle leader little where nothing was ever deleted, and is still sure of what it says when a read ends.
 * Method: answers of a store that stands still, played by hand, and counted. What is told of real changes is the contract's
 * (core/testing/contract/online-moves.ts).
 */
import { keyFromText, prefixRange, type Key, type MigrationId, type Position } from '@keyferry/core';
import { describe, expect, it } from 'vitest';
import type { ConsulApi } from './api.ts';
import type { ConsulConnection } from './connection.ts';
import { ControlKeys } from './control-keys.ts';
import { ConsulMoves } from './online-moves.ts';
import { ValueForm } from './value-form.ts';

const keys = new ControlKeys(keyFromText('_keyferry/'), 'm' as MigrationId);

/** Records that nobody writes, and below the tombstones' prefix nothing until it is said. */
class IdleStore {
  looks = 0;
  asksOfTombs = 0;
  hasTombs = false;
  readonly hasToken = true;

  async readPosition() {
    return '7' as Position;
  }

  async readTrees(_prefixes: readonly Key[], use: (feed: () => Promise<void>) => Promise<unknown>) {
    this.looks += 1;
    return await use(async () => undefined);
  }

  async readPrefix(prefix: Key, above: number | null) {
    if (prefix.startsWith(keys.tombs)) {
      this.asksOfTombs += 1;
      return { index: 9, isEmpty: !this.hasTombs };
    }
    if (above !== null) await new Promise(() => undefined); // nothing moves
    return { index: 5, isEmpty: false };
  }
}

async function idleWatch() {
  const store = new IdleStore();
  const connection = { api: store as unknown as ConsulApi, client: { close: () => undefined } };
  const moves = new ConsulMoves(() => connection as ConsulConnection, { keys, form: new ValueForm(null) });
  return { store, watch: await moves.open(prefixRange(keyFromText('in/')), null) };
}

describe('a watch of a store in which nothing was deleted', () => {
  it('asks for tombstones once a second at most', async () => {
    const { store, watch } = await idleWatch();
    const before = store.asksOfTombs;
    const startedAtMs = performance.now();
    for (let reads = 0; reads < 2; reads += 1) await watch.read({ changesMax: 10, waitMs: 1000 });
    const seconds = (performance.now() - startedAtMs) / 1000;
    const asked = store.asksOfTombs - before;
    expect(asked).toBeGreaterThanOrEqual(2);
    expect(asked).toBeLessThanOrEqual(seconds + 1);
    await watch.close();
  });

  it.each([
    { how: 'had no time', waitMs: 0, signal: undefined },
    { how: 'was ended early', waitMs: 60_000, signal: AbortSignal.abort() },
  ])('does not say that nothing moved before it has asked, in a read that $how', async ({ waitMs, signal }) => {
    const { store, watch } = await idleWatch();
    const before = store.asksOfTombs;
    await watch.read({ changesMax: 10, waitMs, signal });
    expect(store.asksOfTombs).toBe(before + 1);
    await watch.close();
  });

  it.each([
    { how: 'has no time', waitMs: 0, signal: undefined },
    { how: 'is ended early', waitMs: 60_000, signal: AbortSignal.abort() },
  ])(
    'looks, and does not rest until the read is over, where something moved right behind a look: $how',
    async (read) => {
      const { store, watch } = await idleWatch();
      store.hasTombs = true;
      await watch.read({ changesMax: 10, waitMs: read.waitMs, signal: read.signal });
      expect(store.looks).toBe(2);
      await watch.close();
    },
  );

  it('looks once there are some', async () => {
    const { store, watch } = await idleWatch();
    store.hasTombs = true;
    await watch.read({ changesMax: 10, waitMs: 60_000 });
    expect(store.looks).toBe(2);
    await watch.close();
  });
});
