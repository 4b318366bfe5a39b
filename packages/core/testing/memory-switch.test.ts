/** Goal: what tests and the simulator take for a switch is one. Method: the contract suite, and a planted fault. */
import { describe, expect, it } from 'vitest';
import type { Switch } from '../src/index.ts';
import { plainSwitchContract, switchContract } from './contract/switch.ts';
import { MemoryPlainSwitch, MemorySwitch, MemorySwitchData } from './memory-switch.ts';

switchContract('memory', {
  open: async () => {
    const data = new MemorySwitchData();
    const store = new MemorySwitch(data);
    return {
      store,
      openAnother: async (): Promise<Switch> => new MemorySwitch(data),
      spoil: async () => void data.texts.set('record', { text: 'true', version: data.nextVersion() }),
      close: () => store.close(),
    };
  },
});

plainSwitchContract('memory', async () => {
  const data = new MemorySwitchData();
  const store = new MemoryPlainSwitch(data);
  return { store, readAsApplication: async () => data.plain, close: () => store.close() };
});

describe('a planted fault', () => {
  it('loses an answer, and not the write', async () => {
    const store = new MemorySwitch();
    store.failNext('read', 'after');
    await expect(store.read()).rejects.toMatchObject({ code: 'store.unreachable' });
    expect(await store.read()).toBeNull();
  });
});
