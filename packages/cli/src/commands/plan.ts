import { Args, Flags } from '@oclif/core';
import type { PlanDocument, PlanWriter } from '@keyferry/core';
import { BaseCommand, type Outcome } from '../base-command.ts';
import { exitCodes, type ExitCode } from '../exit-codes.ts';
import { allFlag } from '../flags/all.ts';
import { detailedExitcodeFlag } from '../flags/detailed-exitcode.ts';
import { excludeFlag, onlyFlag, selectionOf } from '../flags/key-selection.ts';
import { planOfParallel } from '../parallel.ts';
import { usageError } from '../usage-error.ts';
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
    archive: Flags.string({
      summary: 'Under strategy parallel: an export that was made before, in place of one made now.',
      helpValue: 'FILE',
    }),
    rehearsal: Flags.string({
      summary: 'Under strategy parallel: what rehearse --json printed; the freeze is estimated with it.',
      helpValue: 'FILE',
    }),
    only: onlyFlag,
    exclude: excludeFlag,
    'detailed-exitcode': detailedExitcodeFlag,
  };

  async run(): Promise<void> {
    const { args, flags } = await this.parse(Plan);
    await this.performOn<unknown>(flags, args.migration, async (run, migration) => {
      const { out, archive, rehearsal, 'detailed-exitcode': detailed } = flags;
      const parallel = await planOfParallel(run, migration, { out, archive, rehearsal, detailed });
      if (parallel !== null) return parallel;
      for (const [name, value] of Object.entries({ archive, rehearsal })) {
        if (value !== undefined) throw usageError(`--${name} is for strategy parallel`, `keyferry plan ${migration}`);
      }
      return (await withMigration(
        run,
        migration,
        async (wired) => {
          const { createPlanFile, discardPlan } = await loadAdapters();
          const writer: PlanWriter =
            out === undefined ? discardPlan() : createPlanFile(out, { config: wired.planConfig });
          const plan = await makePlanFor(run, wired, writer);
          const result: PlanResult = { plan, file: out ?? null, occasion: 'made' };
          return { result, view: planView, exitCode: planExitCode(plan, detailed) };
        },
        () => selectionOf(flags),
      )) as Outcome<unknown>;
    });
  }
}

function planExitCode(plan: PlanDocument, detailed: boolean): ExitCode {
  if (!plan.applyable) return exitCodes.notAllowed;
  const { create, overwrite, delete: deleted } = plan.totals.actions;
  return detailed && create.keys + overwrite.keys + deleted.keys > 0 ? exitCodes.changes : exitCodes.done;
}
