/** The public surface of the adapters: configuration, plan files, wiring; nothing of a single store. */
export { adapterFacts, type AdapterFacts, type SideFacts, type TargetFacts } from './adapter-facts.ts';
export { openWorkQueue, type WorkQueue } from './aws-queue/work-queue.ts';
export * from './config/index.ts';
export * from './environment/index.ts';
export { readFixtures, type FixtureCase } from './fixtures/read-fixtures.ts';
export * from './plan-file/index.ts';
export { checkUserCode, ruleModuleFiles } from './rule-modules/load-rule-modules.ts';
export { etcdV2Access } from './wire-options.ts';
export { wireRules } from './wire-spec.ts';
export { wireBacklogs, type WiredBacklog } from './wire-postgres.ts';
export { wireSwitch, type WiredOnline } from './wire-online.ts';
export { wirePrimarySwitch } from './wire-primary.ts';
export { tellProgram } from './switch/told-program.ts';
export * from './wire-state.ts';
export * from './wire.ts';
export * from './wire-parallel.ts';
export { openRehearsal, type OpenRehearsal, type RehearsalServers } from './rehearsal/open-rehearsal.ts';
