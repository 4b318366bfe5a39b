/** Both sides of a verification, as `verify` and `apply` show them: how many, the digest of the set, at which position. */
import { digestsEqual, type Digest } from '@keyferry/core';
import type { VerifyResult } from '@keyferry/engine';
import type { Palette } from '../../terminal/palette.ts';
import { columns, indent } from '../layout/columns.ts';
import { keyText } from '../layout/keys.ts';
import { counted, countText } from '../layout/numbers.ts';
import { positionText } from '../layout/positions.ts';

/** What the source's permanent records were is for the deviations to say. */
export type ShownVerify = Omit<VerifyResult, 'sourcePermanent'>;

export function verdictText({ verdict }: ShownVerify, palette: Palette): string {
  return verdict === 'agree' ? palette.good('agree') : palette.bad('differ');
}

export function sideLines(result: ShownVerify): string[] {
  const { source, target, sourcePosition, targetPosition, kept, targetOnly, expired, prunes } = result;
  const sides = columns(
    [
      ['source', counted(source.count, 'record'), `digest ${source.sum}`, `position ${positionText(sourcePosition)}`],
      ['target', counted(target.count, 'record'), `digest ${target.sum}`, `position ${positionText(targetPosition)}`],
    ],
    [{ align: 'left' }, { align: 'right', gap: 3 }, { align: 'left', gap: 3 }, { align: 'left', gap: 3 }],
  );
  const besides = [
    ...(kept > 0 ? [`${countText(kept)} that differ as planned`] : []),
    ...(targetOnly > 0
      ? [`${countText(targetOnly)} in the target only${prunes ? ', new since the plan or left out by its rules' : ''}`]
      : []),
    ...(expired > 0 ? [`${countText(expired)} whose time ran out meanwhile`] : []),
  ];
  return indent([...sides, ...(besides.length > 0 ? [`besides  ${besides.join(', ')}`] : [])]);
}

/** The keys that differ, and how; the rest as a number. */
export function differenceLines({ differences, differencesTotal }: ShownVerify, palette: Palette): string[] {
  const rows = columns(
    differences.map(({ key, what }) => [`${palette.bad('!')} ${keyText(key)}`, what]),
    [{ align: 'left' }, { align: 'left', gap: 3 }],
  );
  const rest = differencesTotal - differences.length;
  return indent(rest > 0 ? [...rows, `and ${countText(rest)} more`] : rows);
}

export function verifyBody(result: ShownVerify) {
  const { verdict, source, target, kept, targetOnly, expired, differences, differencesTotal } = result;
  return {
    verdict,
    digestsEqual: digestsEqual(source, target),
    source: sideJson(source, result.sourcePosition),
    target: sideJson(target, result.targetPosition),
    kept,
    targetOnly,
    prunes: result.prunes,
    expired,
    differences,
    differencesTotal,
    elapsedMs: Math.round(result.elapsedMs),
  };
}

const sideJson = ({ count, sum }: Digest, position: string) => ({ records: count, digest: sum, position });
