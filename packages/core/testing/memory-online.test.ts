/** Goal: what tests take for online stores are such. Method: the contract suites, in virtual time. */
import type { SwitchVersion } from '../src/index.ts';
import { keyFromText } from '../src/index.ts';
import { onlineSourceContract, onlineTargetContract, type OnlineTargetFixture } from './contract/online.ts';
import { sourceMovesContract, targetMovesContract } from './contract/online-moves.ts';
import { bytes } from './contract/harness.ts';
import { MemoryOnlineSource, MemoryOnlineTarget } from './memory-online.ts';
import { MemorySwitchData } from './memory-switch.ts';

let nowMs = 1_700_000_000_000;
const outlive = async (ttlMs: number): Promise<void> => {
  nowMs += ttlMs;
};

const openSource = async () => {
  const store = new MemoryOnlineSource(() => nowMs);
  return { store, key: keyFromText, outlive, close: () => store.close() };
};

const openTarget = async (holdsSwitch: boolean): Promise<OnlineTargetFixture> => {
  const data = new MemorySwitchData();
  const store = new MemoryOnlineTarget(() => nowMs, holdsSwitch ? data : null);
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
