/** Plan files: written whole or not at all, read only when whole; and plans that need no file. */
export { createPlanFile } from './create-plan-file.ts';
export { openPlanFile, type PlanFileReader } from './open-plan-file.ts';
export { createMemoryPlan, discardPlan, type MemoryPlan } from './memory-plan.ts';
export { readRehearsedFigures } from './rehearsal-file.ts';
export { readParallelPlan, writeParallelPlan } from './parallel-plan-file.ts';
