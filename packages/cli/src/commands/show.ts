import { Args, Flags } from '@oclif/core';
import type { PlannedChange, PlanReader } from '@keyferry/core';
import { BaseCommand, type Outcome } from '../base-command.ts';
import { exitCodes } from '../exit-codes.ts';
import { planView } from '../views/plan/index.ts';
import type { PlanResult } from '../views/plan/result.ts';
import { changesView, type ChangesResult } from '../views/show/index.ts';
import { loadAdapters } from '../wiring.ts';

type Shown = { readonly plan: PlanResult } | { readonly changes: ChangesResult };

export default class Show extends BaseCommand {
  static override readonly summary = 'Show a saved plan again, or its rows. Needs no store and no configuration.';
  static override readonly examples = [
    '<%= config.bin %> show config.kfplan',
    '<%= config.bin %> show config.kfplan --only conflict',
  ];
  static override readonly args = {
    file: Args.string({ required: true, description: 'Plan file, as saved by plan --out.' }),
  };
  static override readonly flags = {
    only: Flags.option({ options: ['create', 'conflict', 'blocked'] as const })({
      summary: 'List the keys of one kind of action.',
      env: 'KEYFERRY_ONLY',
    }),
  };

  async run(): Promise<void> {
    const { args, flags } = await this.parse(Show);
    await this.perform<Shown>(flags, args.file, async (run): Promise<Outcome<Shown>> => {
      const { openPlanFile } = await loadAdapters();
      const reader = await openPlanFile(args.file);
      try {
        const { plan } = reader;
        run.about(plan.migration);
        const result: Shown =
          flags.only === undefined
            ? { plan: { plan, file: args.file, occasion: 'shown' } }
            : { changes: { plan, only: flags.only, rows: await run.reading(rowsOf(reader, flags.only)) } };
        return { result, view: shownView, exitCode: exitCodes.done };
      } finally {
        await reader.close();
      }
    });
  }
}

const shownView: Outcome<Shown>['view'] = {
  human: (shown, context) =>
    'plan' in shown ? planView.human(shown.plan, context) : changesView.human(shown.changes, context),
  json: (shown, warnings) =>
    'plan' in shown ? planView.json(shown.plan, warnings) : changesView.json(shown.changes, warnings),
};

async function rowsOf(reader: PlanReader, only: PlannedChange['action']): Promise<readonly PlannedChange[]> {
  const rows: PlannedChange[] = [];
  for await (const page of reader.readChanges()) rows.push(...page.filter(({ action }) => action === only));
  return rows;
}
