import { Args } from '@oclif/core';
import { BaseCommand } from '../../base-command.ts';
import { exitCodes } from '../../exit-codes.ts';
import { usageError } from '../../usage-error.ts';
import { describedAdapterView, type DescribedAdapter } from '../../views/adapters/describe.ts';
import { loadAdapters } from '../../wiring.ts';

export default class AdaptersDescribe extends BaseCommand {
  static override readonly summary =
    'One kind of store: what it can do, its limits, the permission it needs, what it was tested with.';
  static override readonly examples = ['<%= config.bin %> adapters describe etcd-v3'];
  static override readonly args = {
    kind: Args.string({ required: true, description: 'A kind of store, as adapters list prints it.' }),
  };

  async run(): Promise<void> {
    const { args, flags } = await this.parse(AdaptersDescribe);
    const { kind } = args;
    await this.perform<DescribedAdapter>(flags, kind, async () => {
      const { adapterFacts, adapterKinds, nearest } = await loadAdapters();
      const kinds: Readonly<Record<string, (typeof adapterKinds)[keyof typeof adapterKinds]>> = adapterKinds;
      const known = Object.hasOwn(kinds, kind) ? kinds[kind] : undefined;
      const facts = (adapterFacts as Readonly<Record<string, DescribedAdapter['facts']>>)[kind];
      if (known === undefined || facts === undefined) {
        const near = nearest(kind, Object.keys(kinds));
        const meant = near === null ? '' : `did you mean:   keyferry adapters describe ${near}\n`;
        throw usageError(`there is no kind of store ${kind}`, `${meant}list them:   keyferry adapters list`);
      }
      const result = { kind, description: known.description, facts };
      return { result, view: describedAdapterView, exitCode: exitCodes.done };
    });
  }
}
