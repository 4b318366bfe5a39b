/** What a rehearsal found: the freeze as it would be, losses foreseen and seen, the way back, and what it cannot show. */
import { instantText, type Rehearsal, type RegistryKind } from '@keyferry/core';
import { columns, indent } from '../layout/columns.ts';
import { textForDisplay } from '../layout/keys.ts';
import { bytesText, counted, countText, durationText } from '../layout/numbers.ts';
import { findingLines } from '../plan/findings.ts';
import { envelope, type View, type ViewContext } from '../view.ts';

export const rehearsalView: View<Rehearsal> = {
  human,
  json: ({ atMs, ...rest }, warnings) =>
    envelope('keyferry.rehearsal', warnings, { ...rest, strategy: 'parallel', at: instantText(atMs) }),
};

function human(rehearsal: Rehearsal, context: ViewContext): string {
  const { palette } = context;
  const { migration, archive, source, target, phases, failure, wayBack, passed, tookMs } = rehearsal;
  const verdict = passed ? 'passed' : palette.bad('did not pass');
  const facts = [
    ['2.x', `Apicurio Registry ${source.system.version}`],
    ['3.x', `Apicurio Registry ${target.system.version}`],
    [
      'archive',
      `${bytesText(archive.bytes)}, ${counted(archive.counts.version, 'version')}, sha256 ${archive.sha256.slice(0, 12)}`,
    ],
    ['took', durationText(tookMs)],
  ];
  const back =
    wayBack === null
      ? 'not gone'
      : wayBack.kind === 'undone'
        ? `the freeze was undone in ${durationText(wayBack.tookMs)}`
        : `${durationText(wayBack.tookMs)}; ${wayBack.cameBack} of ${wayBack.written} writes that 3.x took are in 2.x, with their ids`;
  return [
    `${palette.strong(`Rehearsal of ${migration}`)}   ${verdict}   (throw-away servers; nothing of production was written)`,
    '',
    ...indent(columns(facts, [{ align: 'left' }, { align: 'left' }])),
    ...(failure === null
      ? []
      : ['', `  ${palette.bad('failed')}  ${failure.phase}: ${textForDisplay(failure.message)}`]),
    '',
    palette.strong('Phases'),
    ...indent(
      columns(
        phases.map(({ phase, tookMs: ms }) => [phase, durationText(ms)]),
        [{ align: 'left' }, { align: 'right' }],
      ),
    ),
    '',
    ...freezeLines(rehearsal, context),
    ...lossLines(rehearsal, context),
    ...besidesLines(rehearsal, context),
    palette.strong('Way back'),
    `  ${back}`,
    '',
    ...findingLines(rehearsal, palette),
    '',
    palette.strong('Not rehearsed'),
    ...rehearsal.notRehearsed.map((each) => `  ${each}`),
    '',
  ].join('\n');
}

function freezeLines({ freeze }: Rehearsal, { palette }: ViewContext): string[] {
  if (freeze === null) return [];
  const { measuredMs, estimatedMs, importMs, compareMs } = freeze;
  return [
    palette.strong(`Writes were refused for ${durationText(measuredMs)}, estimated ${durationText(estimatedMs)}`),
    `  of that the import ${durationText(importMs)}, the comparison ${durationText(compareMs)}`,
    '',
  ];
}

function besidesLines({ besides }: Rehearsal, { palette }: ViewContext): string[] {
  if (besides === null) return [];
  const { carriedTotal, notCarried } = besides;
  return [
    palette.strong('What no archive holds'),
    `  of roles, settings, owners and labels ${countText(carriedTotal)} carried over, ${countText(notCarried.length)} not`,
    ...notCarried.slice(0, 10).map(({ what, why }) => `    ${textForDisplay(what)}: ${textForDisplay(why)}`),
    '',
  ];
}

function lossLines({ losses }: Rehearsal, { palette }: ViewContext): string[] {
  if (losses === null) return [];
  const { expected, found, asForeseen, unforeseen, unforeseenTotal } = losses;
  const kinds = (Object.keys(expected) as RegistryKind[]).filter((kind) => expected[kind] + found[kind] > 0);
  const rows = kinds.map((kind) => [kind, countText(expected[kind]), countText(found[kind])]);
  return [
    palette.strong('After the import'),
    ...indent(
      columns(
        [['', 'foreseen', 'found'], ...rows],
        [{ align: 'left' }, { align: 'right', gap: 3 }, { align: 'right', gap: 3 }],
      ),
    ),
    `  lost as foreseen ${countText(asForeseen)}, not foreseen ${countText(unforeseenTotal)}`,
    ...unforeseen
      .slice(0, 10)
      .map(({ kind, name, what }) => `    ${kind} ${textForDisplay(name)} ${textForDisplay(what)}`),
    '',
  ];
}
