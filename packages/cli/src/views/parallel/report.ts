/** What a migration of strategy `parallel` did: its phases, its freeze against the estimate, and every evidence whole. */
import { instantText } from '@keyferry/core';
import type { ParallelStatus } from '@keyferry/engine';
import { instantForPeople } from '../layout/numbers.ts';
import { envelope, type View } from '../view.ts';
import { statusBody, statusLines } from './status.ts';

export const parallelReportView: View<ParallelStatus> = {
  human: (status, context) => {
    const evidence = status.evidence.flatMap(({ phase, name, atMs, data }) => [
      '',
      context.palette.strong(`${phase} / ${name}   ${instantForPeople(instantText(atMs))}`),
      ...JSON.stringify(data, null, 2)
        .split('\n')
        .map((line) => `  ${line}`),
    ]);
    return [...statusLines(status, context), ...evidence, ''].join('\n');
  },
  json: (status, warnings) => envelope('keyferry.parallel-report', warnings, statusBody(status)),
};
