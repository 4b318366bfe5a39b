/** The facts of an error, as rows of name and text. Most errors say all in their summary; these have more to tell. */
import { isKeyferryError } from '@keyferry/core';
import { holderForPeople } from '../../lock-holder.ts';
import { columns } from '../layout/columns.ts';
import { keyText, textForDisplay } from '../layout/keys.ts';
import { countText, durationText } from '../layout/numbers.ts';
import { withheld } from '../runs/show.ts';
import type { ErrorReport } from './report.ts';

export type Fact = readonly [name: string, text: string];

export function factsOf({ error, logFile }: ErrorReport): readonly Fact[] {
  if (isKeyferryError(error, 'lease.held')) {
    const { holder, run, lock, heartbeatAgoMs } = error.details;
    return [
      ['holder', `${holderForPeople(holder)}, run ${run}, last heartbeat ${durationText(heartbeatAgoMs)} ago`],
      ['lock', lock],
    ];
  }
  if (isKeyferryError(error, 'plan.stale') || isKeyferryError(error, 'program.unsteady')) {
    const { keys, keysTotal } = error.details;
    const rows = columns(
      keys.map(({ key, what }) => [keyText(key), what]),
      [{ align: 'left' }, { align: 'left', gap: 3 }],
    );
    const rest = keysTotal - keys.length;
    return rowsOf(
      error.code === 'plan.stale' ? 'moved' : 'differs',
      rest > 0 ? [...rows, `and ${countText(rest)} more`] : rows,
    );
  }
  if (
    isKeyferryError(error, 'program.failed') ||
    isKeyferryError(error, 'program.silent') ||
    isKeyferryError(error, 'program.answer-invalid')
  ) {
    return rowsOf('stderr', error.details.stderr?.split('\n') ?? []);
  }
  if (isKeyferryError(error, 'forget.unaccepted')) {
    const { findings, lost } = error.details;
    return rowsOf(
      'lost',
      findings.map((code, i) => `${code}   ${lost[i] ?? ''}`),
    );
  }
  if (isKeyferryError(error, 'state.unknown-migration')) {
    const { known } = error.details;
    return [['known', known.length === 0 ? 'none' : known.join(', ')]];
  }
  if (isKeyferryError(error, 'finalize.not-proven')) return rowsOf('moved', error.details.what);
  if (isKeyferryError(error, 'cutover.not-proven')) return rowsOf('differs', error.details.what);
  if (isKeyferryError(error, 'barrier.timed-out')) {
    const { missing, short } = error.details;
    const more = short > missing.length ? [`${countText(short)} more must register and acknowledge`] : [];
    return rowsOf('missing', [...missing, ...more]);
  }
  if (isKeyferryError(error, 'source.stray-write')) return rowsOf('keys', error.details.keys);
  if (isKeyferryError(error, 'instance.unknown')) {
    const { known } = error.details;
    return [['known', known.length === 0 ? 'none' : known.join(', ')]];
  }
  if (isKeyferryError(error, 'apply.failed-before')) {
    const { records, recordsTotal } = error.details;
    const rows = columns(
      records.map(({ key, reason }) => [keyText(key), reason === null ? withheld : textForDisplay(reason)]),
      [{ align: 'left' }, { align: 'left', gap: 3 }],
    );
    const rest = recordsTotal - records.length;
    return rowsOf('failed', rest > 0 ? [...rows, `and ${countText(rest)} more`] : rows);
  }
  if (isKeyferryError(error, 'plan.refused-before')) {
    const { findings, still } = error.details;
    const seen = still.key === null ? still.code : `${still.code}   ${keyText(still.key)}`;
    return [...rowsOf('findings', findings), ['still so', seen]];
  }
  if (isKeyferryError(error, 'plan.mismatch')) return rowsOf('differs', error.details.what);
  if (isKeyferryError(error, 'plan.not-applyable') || isKeyferryError(error, 'plan.unaccepted')) {
    return rowsOf('findings', error.details.findings);
  }
  if (isKeyferryError(error, 'config.unknown-migration')) {
    const { known, suggestion } = error.details;
    return [
      ...(suggestion === null ? [] : [['near', suggestion] as const]),
      ['known', known.length === 0 ? 'none' : known.join(', ')],
    ];
  }
  if (isKeyferryError(error, 'code.unknown')) {
    return error.details.suggestion === null ? [] : [['near', error.details.suggestion]];
  }
  if (isKeyferryError(error, 'config.plaintext-secret') && error.details.line !== null) {
    return [['at', `${error.details.file}:${error.details.line}`]];
  }
  if (error.code === 'internal.invariant' && logFile !== null) return [['log file', logFile]];
  return [];
}

const rowsOf = (name: string, lines: readonly string[]): Fact[] => lines.map((line, i) => [i === 0 ? name : '', line]);
