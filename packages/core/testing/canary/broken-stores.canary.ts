/**
 * The contract suites on memory stores that each break one rule of the protocol. Run by canary.test.ts, which expects
 * failures: it is what shows that a suite which passes says something.
 */
import { keyFromText, type MigrationId } from '../../src/index.ts';
import {
  MemoryStateDatabase,
  MemoryStateStore,
  MemoryStore,
  stateContract,
  targetContract,
  type Change,
  type ProtocolRules,
  type SeedRecord,
} from '../index.ts';

const rules = ['absentGuard', 'versionGuard', 'restoreGuard', 'tombstoneGuard', 'fence', 'epoch'] as const;
const nowMs = 1_700_000_000_000;

for (const rule of rules) {
  targetContract(`without ${rule}`, {
    key: keyFromText,
    nowMs: () => nowMs,
    open: async (records) => openBroken({ [rule]: false }, records),
  });
}

function openBroken(broken: Partial<ProtocolRules>, records: readonly SeedRecord[]) {
  const store = new MemoryStore({ nowMs: () => nowMs, rules: broken });
  const apply = (change: Change) => {
    if ('delete' in change) store.delete(change.delete);
    else store.put(change.put.key, change.put.value, change.put.ttlMs === null ? null : nowMs + change.put.ttlMs);
  };
  for (const put of records) apply({ put });
  return {
    store,
    change: async (changes: readonly Change[]) => changes.forEach((change) => apply(change)),
    openAnother: async () => new MemoryStore({ sharedWith: store, rules: broken }),
    putTombstone: async (migration: MigrationId, key: SeedRecord['key']) => store.putTombstone(migration, key),
    close: () => store.close(),
  };
}

stateContract('without conditionalState', {
  open: async () => {
    const database = new MemoryStateDatabase();
    const open = async () => new MemoryStateStore({ database, rules: { conditionalState: false } });
    const store = await open();
    return { store, openAnother: open, close: () => store.close() };
  },
});
