/** The way back from each phase; phases that share one share a row, and the row that is true now is marked. */
import type { RollbackRow } from '@keyferry/core';

export function rollbackLines(rows: readonly RollbackRow[]): string[] {
  return groups(rows).flatMap(({ phases, now, row: { steps, clients, loses, byHand } }) => [
    `${now ? '>' : ' '} ${phases}: ${steps.length === 0 ? 'none' : steps.join(', ')}`,
    ...(steps.length === 0 ? [] : [`      clients see ${clients}`]),
    `      may be lost: ${loses}`,
    `      by hand before the next try: ${byHand}`,
  ]);
}

interface Group {
  readonly phases: string;
  readonly now: boolean;
  readonly row: RollbackRow;
}

function groups(rows: readonly RollbackRow[]): readonly Group[] {
  const found: { first: RollbackRow; last: RollbackRow }[] = [];
  for (const row of rows) {
    const open = found.at(-1);
    const shares = open !== undefined && !row.now && !open.last.now && isSameWay(open.last, row);
    if (shares) open.last = row;
    else found.push({ first: row, last: row });
  }
  return found.map(({ first, last }) => ({
    phases: first === last ? first.phase : `${first.phase} to ${last.phase}`,
    now: first.now,
    row: first,
  }));
}

function isSameWay(a: RollbackRow, b: RollbackRow): boolean {
  return a.steps.join() === b.steps.join() && a.loses === b.loses && a.byHand === b.byHand;
}
