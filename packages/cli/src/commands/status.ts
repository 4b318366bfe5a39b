import { Args } from '@oclif/core';
import type { MigrationId } from '@keyferry/core';
import type { Status as StatusOf } from '@keyferry/engine';
import { BaseCommand } from '../base-command.ts';
import { exitCodes } from '../exit-codes.ts';
import { statusView } from '../views/status/index.ts';
import { loadAdapters, loadEngine, openConfig, withState } from '../wiring.ts';

export default class Status extends BaseCommand {
  static override readonly summary =
    'Where a migration stands, the next safe command and the way back. Reads no store.';
  static override readonly examples = ['<%= config.bin %> status', '<%= config.bin %> status config-v2-to-v3 --json'];
  static override readonly args = {
    migration: Args.string({ description: 'Name of a migration; all of them when it is left out.' }),
  };

  async run(): Promise<void> {
    const { args, flags } = await this.parse(Status);
    await this.perform<readonly StatusOf[]>(flags, args.migration ?? null, async (run) => {
      const { config } = await openConfig(run);
      const { planConfig } = await loadAdapters();
      const { readStatus } = await loadEngine();
      const asked =
        args.migration === undefined ? Object.keys(config.migrations) : [planConfig(config, args.migration).migration];
      const result = await withState(run, config, async (env) => {
        const all: StatusOf[] = [];
        for (const migration of asked) all.push(await run.reading(readStatus(env, migration as MigrationId)));
        return all;
      });
      return { result, view: statusView, exitCode: exitCodes.done };
    });
  }
}
