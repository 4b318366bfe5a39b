/** What tests of the engine share: the simulator and the stage for single flows. */
export { describeFailure, runSeed, type SeedResult } from './sim/run-seed.ts';
export { properties, type Property, type Violation } from './sim/violation.ts';
export { MemoryPlan } from './sim/memory-plan.ts';
export { Stage, type RunHooks, type StageOptions } from './stage.ts';
