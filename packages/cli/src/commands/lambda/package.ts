import { Args, Flags } from '@oclif/core';
import { BaseCommand } from '../../base-command.ts';
import { exitCodes } from '../../exit-codes.ts';
import { packageView, type ShownPackage } from '../../views/lambda/package.ts';
import { openConfig } from '../../wiring.ts';

export default class LambdaPackage extends BaseCommand {
  static override readonly summary = 'Make the bundles of a migration for AWS Lambda, one for each function.';
  static override readonly description =
    'A folder for each function, with index.cjs (handler index.handler), the configuration of the migration (secrets as ' +
    'references) and its modules of rules. It holds only the clients that the migration names, and starts from itself alone.';
  static override readonly examples = ['<%= config.bin %> lambda package config-v2-to-v3 --out functions'];
  static override readonly args = {
    migration: Args.string({ required: true, description: 'Name of a migration.' }),
  };
  static override readonly flags = {
    out: Flags.string({
      char: 'o',
      summary: 'Folder to write them to; what it holds of these functions is replaced.',
      required: true,
      env: 'KEYFERRY_OUT',
      helpValue: 'FOLDER',
    }),
  };

  async run(): Promise<void> {
    const { args, flags } = await this.parse(LambdaPackage);
    await this.perform<ShownPackage>(flags, args.migration, async (run) => {
      const { config } = await openConfig(run);
      run.about(args.migration);
      const { packageMigration } = await import('@keyferry/lambda/packaging');
      run.progress.begin('making bundles');
      const result = await run.reading(packageMigration(config, args.migration, flags.out));
      return { result, view: packageView, exitCode: exitCodes.done };
    });
  }
}
