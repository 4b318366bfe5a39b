import { Args, Flags } from '@oclif/core';
import { keyFromJson, KeyferryError } from '@keyferry/core';
import { BaseCommand } from '../../base-command.ts';
import { exitCodes } from '../../exit-codes.ts';
import { runView, type ShownRun } from '../../views/runs/show.ts';
import { loadAdapters, loadEngine, openConfig, withState } from '../../wiring.ts';

export default class RunsShow extends BaseCommand {
  static override readonly summary =
    'One run, chunk by chunk, and the records that it could not write. Reads no store.';
  static override readonly examples = ['<%= config.bin %> runs show config-v2-to-v3 --dead-letters'];
  static override readonly args = {
    run: Args.string({ required: true, description: 'Id of a run, or name of its migration.' }),
  };
  static override readonly flags = {
    'dead-letters': Flags.boolean({
      summary: 'Name each record that could not be written, and why.',
      env: 'KEYFERRY_DEAD_LETTERS',
    }),
  };

  async run(): Promise<void> {
    const { args, flags } = await this.parse(RunsShow);
    await this.perform<ShownRun>(flags, args.run, async (run) => {
      const { config } = await openConfig(run);
      const { sensitiveMatcher } = await loadAdapters();
      const { readRun } = await loadEngine();
      const found = await withState(run, config, (env) => run.reading(readRun(env, args.run)));
      if (found === null) throw new KeyferryError('run.not-found', { run: args.run });
      // A migration that has left the configuration still has the built-in patterns.
      const matches = sensitiveMatcher(config.migrations[found.status.migration]?.sensitive ?? []);
      const isSensitive: ShownRun['isSensitive'] = ({ targetKey }) => matches(keyFromJson(targetKey));
      const result = { run: found, withDeadLetters: flags['dead-letters'], isSensitive };
      return { result, view: runView, exitCode: exitCodes.done };
    });
  }
}
