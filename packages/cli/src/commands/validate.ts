import { BaseCommand } from '../base-command.ts';
import { exitCodes } from '../exit-codes.ts';
import { validateView, type ValidConfig } from '../views/validate/index.ts';
import { loadAdapters, openConfig } from '../wiring.ts';

export default class Validate extends BaseCommand {
  static override readonly summary = 'Check the configuration; reads no store.';
  static override readonly examples = ['<%= config.bin %> validate', '<%= config.bin %> validate -c staging.yaml'];

  async run(): Promise<void> {
    const { flags } = await this.parse(Validate);
    await this.perform<ValidConfig>(flags, null, async (run) => {
      const { config } = await openConfig(run);
      const { checkUserCode } = await loadAdapters();
      checkUserCode(config);
      const result = {
        file: config.file,
        stores: Object.entries(config.stores).map(([store, { kind }]) => ({ store, kind })),
        migrations: Object.entries(config.migrations).map(([migration, { source, target, strategy }]) => ({
          migration,
          source: { store: source.store, prefix: source.prefix },
          target: { store: target.store, prefix: target.prefix },
          strategy,
        })),
      };
      return { result, view: validateView, exitCode: exitCodes.done };
    });
  }
}
