import { Args, Flags } from '@oclif/core';
import type { ReportData } from '@keyferry/engine';
import { BaseCommand, type Outcome } from '../base-command.ts';
import { exitCodes } from '../exit-codes.ts';
import { isParallel, parallelReport } from '../parallel.ts';
import type { View } from '../views/view.ts';
import { usageError } from '../usage-error.ts';
import { reportView, type ShownReport } from '../views/report/index.ts';
import { reportHtml } from '../views/report/html.ts';
import { writeWhole } from '../whole-file.ts';
import { loadEngine, openConfig, withState } from '../wiring.ts';

export default class Report extends BaseCommand {
  static override readonly summary =
    'What a migration did, from state alone: counts, course, proof, history. Reads no store.';
  static override readonly examples = [
    '<%= config.bin %> report config-v2-to-v3',
    '<%= config.bin %> report config-v2-to-v3 --html report.html',
  ];
  static override readonly args = {
    subject: Args.string({
      description: 'Name of a migration, or id of a run; left out where the configuration has one migration only.',
    }),
  };
  static override readonly flags = {
    html: Flags.string({ summary: 'Write one page with charts, which needs nothing else.', helpValue: 'FILE' }),
    markdown: Flags.boolean({ summary: 'As Markdown, for a ticket or a pull request.', exclusive: ['html', 'json'] }),
  };

  async run(): Promise<void> {
    const { args, flags } = await this.parse(Report);
    await this.perform<unknown>(flags, args.subject ?? null, async (run): Promise<Outcome<unknown>> => {
      const { config } = await openConfig(run);
      const names = [...Object.keys(config.migrations), ...Object.keys(config.parallel)];
      const [only] = names;
      const subject = args.subject ?? (names.length === 1 ? only : undefined);
      if (subject === undefined) {
        throw usageError('MIGRATION is missing', `name one of them:   keyferry report ${names.join(' | ')}`);
      }
      if (isParallel(config, subject)) return await parallelReport(run, subject, flags);
      const { readReport } = await loadEngine();
      const read = await withState(run, config, (env) => run.reading(readReport(env, subject)));
      // Redacted before it becomes a page: escapes of HTML could hide a secret from the redactor.
      const data = run.output.cleanDeep(read) as ReportData;
      run.about(data.status.migration);
      if (flags.html !== undefined) await writeWhole(flags.html, reportHtml(data, Date.now()));
      const result: ShownReport = { data, markdown: flags.markdown, htmlFile: flags.html ?? null };
      return { result, view: reportView as View<unknown>, exitCode: exitCodes.done };
    });
  }
}
