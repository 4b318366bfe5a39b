import type { RunSummary } from '@keyferry/engine';
import { BaseCommand } from '../../base-command.ts';
import { exitCodes } from '../../exit-codes.ts';
import { runsView } from '../../views/runs/list.ts';
import { loadEngine, openConfig, withState } from '../../wiring.ts';

export default class RunsList extends BaseCommand {
  static override readonly summary =
    'The latest run of each migration: how far it is, and who works on it. Reads no store.';

  async run(): Promise<void> {
    const { flags } = await this.parse(RunsList);
    await this.perform<readonly RunSummary[]>(flags, null, async (run) => {
      const { config } = await openConfig(run);
      const { listRuns } = await loadEngine();
      const result = await withState(run, config, (env) => run.reading(listRuns(env)));
      return { result, view: runsView, exitCode: exitCodes.done };
    });
  }
}
