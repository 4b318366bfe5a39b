/** A report: text by default, a document, Markdown, or the path of the HTML page that was written. */
import { instantText, scannedOf } from '@keyferry/core';
import type { ReportData } from '@keyferry/engine';
import { eventJson } from '../state/history.ts';
import { runJson } from '../state/show.ts';
import { envelope, type View } from '../view.ts';
import { courseOf } from './course.ts';
import { nextCommand, reportOf, wayBackText } from './facts.ts';
import { reportMarkdown } from './markdown.ts';
import { endLines, reportText } from './text.ts';

export interface ShownReport {
  readonly data: ReportData;
  readonly markdown: boolean;
  /** Where the page was written; null without --html. */
  readonly htmlFile: string | null;
}

export const reportView: View<ShownReport> = {
  human: ({ data, markdown, htmlFile }, context) => {
    if (markdown) return reportMarkdown(data);
    if (htmlFile === null) return reportText(data, context);
    const report = reportOf(data);
    const { state, verdict } = report;
    return [
      `${context.palette.strong(`Report ${state.migration}`)}   ${verdict.text}; wrote ${htmlFile}`,
      ...endLines(report, context),
      '',
    ].join('\n');
  },
  json: ({ data, htmlFile }, warnings) => {
    const { status, run, verified, runs, events, deadLetters, deadLettersTotal } = data;
    const { state, verdict, deviations } = reportOf(data);
    return envelope('keyferry.report', warnings, {
      migration: state.migration,
      phase: state.phase,
      verdict: verdict.text,
      plan: state.plan,
      planTotals: status.plan?.totals ?? null,
      findings: status.plan?.findings ?? [],
      accepted: state.accepted,
      attempt: state.attempt,
      counts: status.counts === null ? null : { ...status.counts, scanned: scannedOf(status.counts) },
      chunks: { done: status.chunksDone, total: status.chunksTotal },
      deviations,
      run: run === null ? null : { ...runJson(run), course: courseOf(run), chunkSpans: run.chunks },
      verify: verified?.verify ?? null,
      backups: state.backups ?? [],
      doneMarker: state.done,
      deadLetters: deadLetters.map(({ atMs, ...letter }) => ({ ...letter, at: instantText(atMs) })),
      deadLettersTotal,
      runs: runs.map(runJson),
      events: events.map(eventJson),
      html: htmlFile,
      next: nextCommand(reportOf(data)),
      wayBack: status.step.wayBack,
      wayBackWhy: wayBackText(reportOf(data)),
    });
  },
};
