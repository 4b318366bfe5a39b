import { BaseCommand } from '../../base-command.ts';
import { exitCodes } from '../../exit-codes.ts';
import { adaptersView, type ListedAdapter } from '../../views/adapters/index.ts';
import { loadAdapters } from '../../wiring.ts';

export default class AdaptersList extends BaseCommand {
  static override readonly summary = 'The kinds of stores, and which side each can be on.';

  async run(): Promise<void> {
    const { flags } = await this.parse(AdaptersList);
    await this.perform<readonly ListedAdapter[]>(flags, null, async () => {
      const { adapterKinds } = await loadAdapters();
      const result = Object.entries(adapterKinds).map(([kind, { source, target, description }]) => ({
        kind,
        source,
        target,
        description,
      }));
      return { result, view: adaptersView, exitCode: exitCodes.done };
    });
  }
}
