/** Goal: what tests take for online stores are such. Method: the contract suites, in virtual time. */
import type { ChunkId, MigrationId, SwitchVersion } from '../src/index.ts';
import { keyFromText } from '../src/index.ts';
import { onlineSourceContract, onlineTargetContract, type OnlineTargetFixture } from './contract/online.ts';
import { sourceMovesContract, targetMovesContract } from './contract/online-moves.ts';
import { bytes } from './contract/harness.ts';
import { MemoryOnlineSource, MemoryOnlineTarget } from './memory-online.ts';
import { MemoryStore } from './memory-store.ts';
import { MemorySwitchData } from './memory-switch.ts';

let nowMs = 1_700_000_000_000;
const outlive = async (ttlMs: number): Promise<void> => {
  nowMs += ttlMs;
};

const openSource = async () => {
  const store = new MemoryOnlineSource(() => nowMs);
  return { store, key: keyFromText, outlive, close: () => store.close() };
};

const openTarget = async (holdsSwitch: boolean, tells: 'log' | 'state' = 'log'): Promise<OnlineTargetFixture> => {
  const data = new MemorySwitchData();
  const store = new MemoryOnlineTarget(() => nowMs, holdsSwitch ? data : null, tells);
  return {
    store,
    key: keyFromText,
    outlive,
    copy: async (key, text, from) => store.copy(key, bytes(text), from),
    moveSwitch: async (): Promise<SwitchVersion> => {
      const version = data.nextVersion();
      data.texts.set('record', { text: '', version });
      return version;
    },
    close: () => store.close(),
  };
};

onlineSourceContract('memory', openSource);
sourceMovesContract('memory', openSource);
onlineTargetContract('memory', openTarget);
targetMovesContract('memory', openTarget);
targetMovesContract('memory that knows its state', (holdsSwitch) => openTarget(holdsSwitch, 'state'), 'state');

// The same promises, of a memory store that the engine uses at the same time.
onlineSourceContract('a memory store', async () => {
  const store = new MemoryStore({ nowMs: () => nowMs }).onlineSource();
  return { store, key: keyFromText, outlive, close: () => store.close() };
});

onlineTargetContract('a memory store', async (holdsSwitch) => {
  const data = new MemorySwitchData();
  const engineSide = new MemoryStore({ nowMs: () => nowMs });
  const migration = 'm' as MigrationId;
  const store = engineSide.onlineTarget(migration, holdsSwitch ? data : null);
  const control = engineSide.control(migration);
  let token = 0;
  return {
    store,
    key: keyFromText,
    outlive,
    copy: async (key, text, from) => {
      token += 1;
      const fence = { attempt: 1, token };
      await control.raiseEpoch({ attempt: 1, token: 1 });
      const claim = await control.claimChunk('c' as ChunkId, fence, { attempt: 1, token: 1 });
      if (claim.kind !== 'claimed') throw new RangeError('a copier was refused');
      await claim.writer.write([
        { kind: 'put', key, value: bytes(text), expiresAtMs: null, expect: 'absent', origin: from },
      ]);
    },
    moveSwitch: async (): Promise<SwitchVersion> => {
      const version = data.nextVersion();
      data.texts.set('record', { text: '', version });
      return version;
    },
    close: () => store.close(),
  };
});
