/** The export of a registry: what it holds, what an import would make of it, what would be lost, and what a repair changed. */
import type { ArchiveReport, EntityCount, Repair } from '@keyferry/adapters/apicurio';
import { columns, indent } from '../layout/columns.ts';
import { bytesText, counted, countText, instantForPeople } from '../layout/numbers.ts';
import { findingLines } from '../plan/findings.ts';
import { envelope, type View, type ViewContext } from '../view.ts';

export interface ArchiveInspection {
  readonly report: ArchiveReport;
  /** A new archive, and what is said of that; null: none was asked for. */
  readonly repaired: {
    readonly file: string;
    readonly repairs: readonly Repair[];
    readonly report: ArchiveReport;
  } | null;
}

export const archiveView: View<ArchiveInspection> = {
  human: archiveHuman,
  json: (inspection, warnings) => envelope('keyferry.inspect-export', warnings, jsonBody(inspection)),
};

function jsonBody({ report, repaired }: ArchiveInspection) {
  return {
    ...reportJson(report),
    repaired: repaired === null ? null : { repairs: repaired.repairs, ...reportJson(repaired.report) },
  };
}

function reportJson({ writtenBy, ...report }: ArchiveReport) {
  const at = writtenBy === null ? null : new Date(writtenBy.atMs).toISOString();
  return {
    ...report,
    writtenBy: writtenBy === null ? null : { version: writtenBy.version, at, by: writtenBy.by },
    importable: isImportable(report),
  };
}

const isImportable = ({ findings }: Pick<ArchiveReport, 'findings'>): boolean =>
  findings.every(({ level }) => level !== 'blocking');

const left = { align: 'left' } as const;
const right = { align: 'right' } as const;

/** As many repairs as a screen takes; the document has them all. */
const repairsMax = 40;

function archiveHuman({ report, repaired }: ArchiveInspection, context: ViewContext): string {
  const lines = [...reportLines(report, context)];
  if (repaired !== null) lines.push('', ...repairLines(repaired, context));
  return [...lines, ''].join('\n');
}

function reportLines(report: ArchiveReport, { palette }: ViewContext): readonly string[] {
  const { writtenBy, unpacked, bytes, next } = report;
  const facts = [
    ['written by', writtenText(writtenBy)],
    [
      'size',
      `${bytesText(bytes)}; unpacked ${bytesText(unpacked.bytes)} in ${counted(unpacked.entries, 'entry', 'entries')}`,
    ],
    ['target', `Apicurio Registry ${report.target}, empty; what follows is foreseen and nothing was imported`],
    [
      'next ids',
      `global id ${next.globalId}, content id ${next.contentId}: if versions with these or higher ids were deleted`,
    ],
    ['', 'in 2.x, their ids are given again, and old messages with them are read with a wrong schema'],
    ['left out', 'roles, dynamic configuration and log levels are in no export: carry them over by hand'],
  ];
  const head = ['', 'archived', 'kept', 'by id only', 'one of', 'lost'];
  const table = columns([head, ...report.entities.map(entityRow)], [left, right, right, right, right, right]);
  return [
    palette.strong(report.file),
    ...indent(columns(facts, [left, { ...left, gap: 3 }])),
    '',
    ...indent(table),
    '',
    ...findingLines(report, palette),
    '',
    verdictLine(report, palette),
  ];
}

function verdictLine(report: ArchiveReport, palette: ViewContext['palette']): string {
  if (isImportable(report)) return palette.good('Nothing that it holds would be lost.');
  const isRefused = report.findings.some(({ code }) => code === 'registry.archive-refused');
  return palette.bad(
    isRefused
      ? 'An import would fail as a whole and leave nothing; the table is what it would do once it is taken.'
      : 'Do not import it as it is: the server would answer 204 all the same.',
  );
}

function writtenText(writtenBy: ArchiveReport['writtenBy']): string {
  if (writtenBy === null) return 'unknown: there is no manifest';
  const who = writtenBy.by === null || writtenBy.by === '' ? '' : ` for ${writtenBy.by}`;
  return `${writtenBy.version ?? 'an unknown release'}${who}, ${instantForPeople(new Date(writtenBy.atMs).toISOString())}`;
}

const entityNames: Readonly<Record<EntityCount['kind'], string>> = {
  versions: 'versions',
  artifacts: 'artifacts',
  contents: 'contents',
  groups: 'groups',
  artifactRules: 'artifact rules',
  globalRules: 'global rules',
  comments: 'comments',
};

function entityRow({ kind, archived, kept, byIdOnly, uncertain, lost }: EntityCount): string[] {
  const some = (count: number): string => (count === 0 ? '-' : countText(count));
  return [entityNames[kind], countText(archived), countText(kept), some(byIdOnly), some(uncertain), some(lost)];
}

function repairLines(
  { file, repairs, report }: NonNullable<ArchiveInspection['repaired']>,
  context: ViewContext,
): string[] {
  const { palette } = context;
  const rows = repairs.slice(0, repairsMax).map(({ code, name, what }) => [code, name, what]);
  const rest = repairs.length - rows.length;
  return [
    palette.strong(`Repaired   ${counted(repairs.length, 'change')}; the original is as it was`),
    ...indent(columns(rows, [left, left, { ...left, gap: 3 }])),
    ...(rest > 0 ? [`  and ${countText(rest)} more: --json has them all`] : []),
    '',
    ...reportLines({ ...report, file }, context),
  ];
}
