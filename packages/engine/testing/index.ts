/** What tests of the engine share: the simulator and the stage for single flows. */
export { describeFailure, runSeed, type SeedResult } from './sim/run-seed.ts';
export { properties, type Property, type Violation } from './sim/violation.ts';
export { Faults, shrinkFaults } from './sim/faults.ts';
export { Kernel, startMs, Stuck } from './sim/kernel.ts';
export { Limbo } from './sim/limbo.ts';
export { Prng } from './sim/prng.ts';
export { describeError, SimProcess, type Ending } from './sim/process.ts';
export { calm, drawClimate, Weather, type Climate, type Fate, type StoreName } from './sim/weather.ts';
export { memorySpec } from './memory-spec.ts';
export { MemoryPlan } from './sim/memory-plan.ts';
export { Stage, type RunHooks, type StageOptions } from './stage.ts';
