/** What tests of every package share: arbitraries, the memory stores, the contract suites. */
export * from './arbitraries.ts';
export { MemoryStore, memoryCapabilities, type MemoryStoreOptions, type StoreOperation } from './memory-store.ts';
export {
  MemoryStateDatabase,
  MemoryStateStore,
  type MemoryStateStoreOptions,
  type StateOperation,
} from './memory-state-store.ts';
export { MemoryPlainSwitch, MemorySwitch, MemorySwitchData, type SwitchOperation } from './memory-switch.ts';
export type { MemoryTailWriter } from './memory-tail.ts';
export { MemoryPrimarySwitch } from './memory-primary.ts';
export { MemoryOnlineSource, MemoryOnlineTarget } from './memory-online.ts';
export {
  answered,
  asked,
  mayHold,
  newHistory,
  nothing,
  settled,
  withdrawn,
  type Asked,
  type History,
  type Id as HistoryId,
  type Said,
} from './explore/history.ts';
export type { FaultMoment } from './memory-faults.ts';
export { MemoryTargetLock } from './memory-target-lock.ts';
export { MemoryScratch } from './memory-spool.ts';
export { packedPageOf, putsOf } from './packed-page-of.ts';
export { allRules, type ProtocolRules } from './protocol-rules.ts';

export * from './contract/harness.ts';
export { sourceContract } from './contract/source.ts';
export { targetContract } from './contract/target.ts';
export { feedContract, type FeedFixture, type FeedHarness } from './contract/feed.ts';
export { tailContract } from './contract/tail-writer.ts';
export { targetLockContract, type TargetLockFixture } from './contract/target-lock.ts';
export { spoolContract } from './contract/spool.ts';
export {
  onlineSourceContract,
  onlineTargetContract,
  type OnlineFixture,
  type OnlineTargetFixture,
} from './contract/online.ts';
export { sourceMovesContract, targetMovesContract } from './contract/online-moves.ts';
export { stateContract } from './contract/state.ts';
export {
  plainSwitchContract,
  switchContract,
  type PlainSwitchFixture,
  type SwitchFixture,
  type SwitchHarness,
} from './contract/switch.ts';
