/**
 * Goal: the memory state store keeps every promise of the port.
 * Method: the contract suite; then the switch that turns the condition off, and planted faults.
 */
import { describe, expect, it } from 'vitest';
import { MemoryStateStore, stateContract } from './index.ts';

stateContract('the memory state store', {
  open: async () => {
    const store = new MemoryStateStore();
    return {
      store,
      openAnother: async () => new MemoryStateStore({ database: store.database }),
      close: () => store.close(),
    };
  },
});

describe('the memory state store', () => {
  const event = (message: string) => ({ atMs: 1, run: 'r', type: 't', message });

  it.each([
    { off: {}, kind: 'conflict' },
    { off: { conditionalState: false }, kind: 'written' },
  ])('with conditionalState $off answers a stale write with $kind', async ({ off, kind }) => {
    const store = new MemoryStateStore({ rules: off });
    await store.write('event', 'm', 'e', event('1'), 'absent');
    expect((await store.write('event', 'm', 'e', event('2'), 'absent')).kind).toBe(kind);
  });

  it('fails where it is told to: before the effect, or after it', async () => {
    const store = new MemoryStateStore();
    store.failNext('write');
    await expect(store.write('event', 'm', 'e', event('1'), 'absent')).rejects.toMatchObject({
      code: 'store.unreachable',
    });
    expect(await store.read('event', 'm', 'e')).toBeNull();
    store.failNext('write', 'after');
    await expect(store.write('event', 'm', 'e', event('1'), 'absent')).rejects.toMatchObject({
      code: 'store.unreachable',
    });
    expect((await store.read('event', 'm', 'e'))?.item).toEqual(event('1'));
  });
});
