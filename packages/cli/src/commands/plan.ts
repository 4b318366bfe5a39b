import { Args, Flags } from '@oclif/core';
import type { PlanDocument, PlanWriter } from '@keyferry/core';
import { BaseCommand } from '../base-command.ts';
import { exitCodes, type ExitCode } from '../exit-codes.ts';
import { allFlag } from '../flags/all.ts';
import { detailedExitcodeFlag } from '../flags/detailed-exitcode.ts';
import { excludeFlag, onlyFlag, selectionOf } from '../flags/key-selection.ts';
import { makePlanFor } from '../plan-making.ts';
import { planView } from '../views/plan/index.ts';
import type { PlanResult } from '../views/plan/result.ts';
import { loadAdapters, withMigration } from '../wiring.ts';

export default class Plan extends BaseCommand {
  static override readonly summary = 'Compute what apply would do, and show it for review. Writes to neither store.';
  static override readonly examples = [
    '<%= config.bin %> plan config-v2-to-v3 --out config.kfplan',
    '<%= config.bin %> plan config-v2-to-v3 --detailed-exitcode --json',
    { description: 'A dry run of every migration.', command: '<%= config.bin %> plan --all' },
    "<%= config.bin %> plan config-v2-to-v3 --only '/config/routes/**' --out routes.kfplan",
  ];
  static override readonly args = {
    migration: Args.string({ description: 'Name of a migration in the configuration.' }),
  };
  static override readonly flags = {
    out: Flags.string({
      char: 'o',
      summary: 'Save the plan, to apply exactly it.',
      helpValue: 'FILE',
      env: 'KEYFERRY_OUT',
    }),
    all: Flags.boolean({ ...allFlag, exclusive: ['out', 'only', 'exclude'] }),
    only: onlyFlag,
    exclude: excludeFlag,
    'detailed-exitcode': detailedExitcodeFlag,
  };

  async run(): Promise<void> {
    const { args, flags } = await this.parse(Plan);
    await this.performOn<PlanResult>(flags, args.migration, (run, migration) =>
      withMigration(
        run,
        migration,
        async (wired) => {
          const { createPlanFile, discardPlan } = await loadAdapters();
          const { out } = flags;
          const writer: PlanWriter =
            out === undefined ? discardPlan() : createPlanFile(out, { config: wired.planConfig });
          const plan = await makePlanFor(run, wired, writer);
          const result = { plan, file: out ?? null, occasion: 'made' } as const;
          return { result, view: planView, exitCode: planExitCode(plan, flags['detailed-exitcode']) };
        },
        () => selectionOf(flags),
      ),
    );
  }
}

function planExitCode(plan: PlanDocument, detailed: boolean): ExitCode {
  if (!plan.applyable) return exitCodes.notAllowed;
  const { create, overwrite, delete: deleted } = plan.totals.actions;
  return detailed && create.keys + overwrite.keys + deleted.keys > 0 ? exitCodes.changes : exitCodes.done;
}
