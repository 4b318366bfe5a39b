import { BaseCommand } from '../../base-command.ts';
import { exitCodes } from '../../exit-codes.ts';
import { lockTimeoutFlag } from '../../flags/writing.ts';
import { upgradedView, type Upgraded } from '../../views/state/upgrade.ts';
import { loadEngine, openConfig, runOptions, withState } from '../../wiring.ts';

export default class StateUpgrade extends BaseCommand {
  static override readonly summary = 'Bring the state of an older keyferry to the format of this one.';
  static override readonly flags = { 'lock-timeout': lockTimeoutFlag };

  async run(): Promise<void> {
    const { flags } = await this.parse(StateUpgrade);
    await this.perform<Upgraded>(flags, null, async (run) => {
      const { config } = await openConfig(run);
      const { upgradeState } = await loadEngine();
      const options = runOptions(run, flags['lock-timeout'] ?? 0);
      const result = await withState(run, config, (env) => upgradeState(env, options));
      return { result, view: upgradedView, exitCode: exitCodes.done };
    });
  }
}
