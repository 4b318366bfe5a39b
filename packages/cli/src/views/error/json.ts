/** An error as the one document on stdout. Details are core's own, typed by the code; no stack, no flags, no paths. */
import { isKeyferryError } from '@keyferry/core';
import { envelope, type Envelope } from '../view.ts';
import { holderForPeople } from '../../lock-holder.ts';
import type { ErrorReport } from './report.ts';
import { fixLines, summaryOf } from './wording.ts';

export function errorJson(report: ErrorReport, warnings: readonly string[]): Envelope {
  const { error, exitCode } = report;
  return envelope('keyferry.error', warnings, {
    error: {
      code: error.code,
      summary: summaryOf(report),
      remedy: fixLines(report).join('\n'),
      retry: error.retry,
      exitCode,
      details: detailsOf(report),
    },
  });
}

function detailsOf({ error }: ErrorReport): object {
  if (isKeyferryError(error, 'lease.held')) {
    return { ...error.details, holder: holderForPeople(error.details.holder) };
  }
  return error.details;
}
