import { Args, Flags } from '@oclif/core';
import type { PlannedChange, PlanReader } from '@keyferry/core';
import { BaseCommand, type Outcome } from '../base-command.ts';
import { exitCodes } from '../exit-codes.ts';
import { usageError } from '../usage-error.ts';
import { planView } from '../views/plan/index.ts';
import { planMarkdown } from '../views/plan/markdown.ts';
import type { PlanResult } from '../views/plan/result.ts';
import { changesView, type ChangesResult } from '../views/show/index.ts';
import { findingsView, type FindingsResult } from '../views/show/findings.ts';
import { loadAdapters } from '../wiring.ts';

type Shown =
  | { readonly plan: PlanResult; readonly markdown: boolean }
  | { readonly changes: ChangesResult }
  | { readonly findings: FindingsResult };

export default class Show extends BaseCommand {
  static override readonly summary = 'Show a saved plan again, or its rows. Needs no store and no configuration.';
  static override readonly examples = [
    '<%= config.bin %> show config.kfplan',
    '<%= config.bin %> show config.kfplan --only conflict',
    '<%= config.bin %> show config.kfplan --markdown > plan.md',
  ];
  static override readonly args = {
    file: Args.string({ required: true, description: 'Plan file, as saved by plan --out.' }),
  };
  static override readonly flags = {
    only: Flags.option({ options: ['create', 'overwrite', 'delete', 'conflict', 'blocked'] as const })({
      summary: 'List the keys of one kind of action.',
      env: 'KEYFERRY_ONLY',
    }),
    finding: Flags.string({
      summary: 'Show one finding, with all that the plan holds about it.',
      helpValue: 'CODE',
      exclusive: ['only', 'markdown'],
    }),
    markdown: Flags.boolean({
      summary: 'As Markdown, for the description of a pull request.',
      exclusive: ['only', 'json'],
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
        return {
          result: await run.reading(shownOf(reader, args.file, flags)),
          view: shownView,
          exitCode: exitCodes.done,
        };
      } finally {
        await reader.close();
      }
    });
  }
}

interface ShowFlags {
  readonly only?: PlannedChange['action'] | undefined;
  readonly finding?: string | undefined;
  readonly markdown: boolean;
}

async function shownOf(reader: PlanReader, file: string, { only, finding, markdown }: ShowFlags): Promise<Shown> {
  const { plan } = reader;
  if (only !== undefined) return { changes: { plan, only, rows: await rowsOf(reader, only) } };
  if (finding === undefined) return { plan: { plan, file, occasion: 'shown' }, markdown };
  const findings = plan.findings.filter(({ code }) => code === finding);
  if (findings.length > 0) return { findings: { plan, findings } };
  const known = [...new Set(plan.findings.map(({ code }) => code))];
  throw usageError(
    `${plan.plan} has no finding ${finding}`,
    known.length === 0 ? 'it has none' : `its findings:   ${known.join(' ')}`,
  );
}

const shownView: Outcome<Shown>['view'] = {
  human: (shown, context) => {
    if ('changes' in shown) return changesView.human(shown.changes, context);
    if ('findings' in shown) return findingsView.human(shown.findings, context);
    return shown.markdown ? planMarkdown(shown.plan, context) : planView.human(shown.plan, context);
  },
  json: (shown, warnings) => {
    if ('changes' in shown) return changesView.json(shown.changes, warnings);
    if ('findings' in shown) return findingsView.json(shown.findings, warnings);
    return planView.json(shown.plan, warnings);
  },
};

async function rowsOf(reader: PlanReader, only: PlannedChange['action']): Promise<readonly PlannedChange[]> {
  const rows: PlannedChange[] = [];
  for await (const page of reader.readChanges()) rows.push(...page.filter(({ action }) => action === only));
  return rows;
}
