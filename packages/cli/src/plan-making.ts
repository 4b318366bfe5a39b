/** Makes a plan on behalf of `plan` and `apply MIGRATION`; an interrupt leaves no half a plan file behind. */
import type { PlanDocument, PlanWriter } from '@keyferry/core';
import type { CommandRun } from './command-run.ts';
import { loadEngine, type Wired } from './wiring.ts';

export async function makePlanFor(run: CommandRun, { engine, spec }: Wired, writer: PlanWriter): Promise<PlanDocument> {
  const { makePlan } = await loadEngine();
  run.progress.begin(`reading ${spec.sourceStore} and ${spec.targetStore}`);
  try {
    return await run.reading(makePlan(engine, spec, writer));
  } catch (error) {
    // The scan may still be under way behind an interrupt; what it wrote goes all the same.
    if (run.signal.aborted) await writer.abort().catch(() => undefined);
    throw error;
  }
}
