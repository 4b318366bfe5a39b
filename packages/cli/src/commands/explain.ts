import { Args } from '@oclif/core';
import { KeyferryError } from '@keyferry/core';
import { BaseCommand } from '../base-command.ts';
import { exitCodes } from '../exit-codes.ts';
import { allExplanations } from '../explanations.ts';
import { explainView, type Explanation } from '../views/explain/index.ts';
import { loadAdapters } from '../wiring.ts';

export default class Explain extends BaseCommand {
  static override readonly summary = 'What an error or finding code means and what to do.';
  static override readonly examples = ['<%= config.bin %> explain', '<%= config.bin %> explain plan.stale'];
  static override readonly args = {
    code: Args.string({ description: 'An error or finding code; all of them when it is left out.' }),
  };

  async run(): Promise<void> {
    const { args, flags } = await this.parse(Explain);
    await this.perform<readonly Explanation[]>(flags, args.code ?? null, async () => {
      const all = allExplanations();
      const { code } = args;
      const result = code === undefined ? all : all.filter((each) => each.code === code);
      if (code !== undefined && result.length === 0) {
        const { nearest } = await loadAdapters();
        const suggestion = nearest(
          code,
          all.map((each) => each.code),
        );
        throw new KeyferryError('code.unknown', { code, suggestion });
      }
      return { result, view: explainView, exitCode: exitCodes.done };
    });
  }
}
