/** What `runs pause`, `resume`, `cancel` and `throttle` have in common: a request in the state, and who will hear it. */
import type { ControlRequest } from '@keyferry/engine';
import type { Outcome } from './base-command.ts';
import type { CommandRun } from './command-run.ts';
import { exitCodes } from './exit-codes.ts';
import { thisMachine } from './lock-holder.ts';
import { controlView, type ControlledRun } from './views/runs/control.ts';
import { loadAdapters, loadEngine, openConfig, withState } from './wiring.ts';

/** Whoever asks is gone before anybody reads it: a process id would tell nothing. */
function askedBy(): string {
  const { user, host } = thisMachine();
  return `${user}@${host}`;
}

export async function askOfRun(
  run: CommandRun,
  name: string,
  request: ControlRequest,
): Promise<Outcome<ControlledRun>> {
  const { config } = await openConfig(run);
  const { planConfig } = await loadAdapters();
  const migration = planConfig(config, name).migration as ControlledRun['migration'];
  run.about(migration);
  const { lookEveryMs, readStatus, requestControl } = await loadEngine();
  return await withState(run, config, async (env) => {
    const change = await requestControl(env, migration, request, askedBy());
    const { lock } = await readStatus(env, migration);
    const holder = lock?.held === true ? lock.holder : null;
    return {
      result: { ...change, request, holder, noticedWithinMs: lookEveryMs },
      view: controlView,
      exitCode: exitCodes.done,
    };
  });
}
