import { Args, Flags } from '@oclif/core';
import type { MigrationId } from '@keyferry/core';
import { keyferryVersion } from '@keyferry/adapters/version';
import { BaseCommand } from '../../base-command.ts';
import { exitCodes } from '../../exit-codes.ts';
import { lockTimeoutFlag } from '../../flags/writing.ts';
import { usageError } from '../../usage-error.ts';
import { exportedView, type Exported } from '../../views/state/transfer.ts';
import { loadEngine, openConfig, runOptions, withState } from '../../wiring.ts';
import { writeWhole } from '../../whole-file.ts';

export default class StateExport extends BaseCommand {
  static override readonly summary =
    'Write what the state holds of a migration as NDJSON, to move it to another state.';
  static override readonly examples = [
    '<%= config.bin %> state export config-v2-to-v3 --out state.ndjson',
    '<%= config.bin %> state export config-v2-to-v3 --out - | ssh host keyferry state import -',
  ];
  static override readonly args = {
    migration: Args.string({ required: true, description: 'Name of a migration, as state list shows it.' }),
  };
  static override readonly flags = {
    out: Flags.string({ char: 'o', required: true, summary: 'File to write; - is stdout.', helpValue: 'FILE|-' }),
    'lock-timeout': lockTimeoutFlag,
  };

  async run(): Promise<void> {
    const { args, flags } = await this.parse(StateExport);
    await this.perform<Exported>(flags, args.migration, async (run) => {
      const { out } = flags;
      if (out === '-' && flags.json)
        throw usageError('--json and --out - both want stdout', 'name a file:   --out FILE');
      const { config } = await openConfig(run);
      run.about(args.migration);
      const { exportState } = await loadEngine();
      const migration = args.migration as MigrationId;
      const lines: string[] = [];
      const options = { ...runOptions(run, flags['lock-timeout'] ?? 0), keyferryVersion: keyferryVersion() };
      const items = await withState(run, config, (env) =>
        exportState(env, migration, options, async (document) => {
          lines.push(JSON.stringify(run.output.cleanDeep(document)));
        }),
      );
      const text = `${lines.join('\n')}\n`;
      if (out !== '-') await writeWhole(out, text);
      const result = { migration, items, file: out, text: out === '-' ? text : null };
      return { result, view: exportedView, exitCode: exitCodes.done };
    });
  }
}
