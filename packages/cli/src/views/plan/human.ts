/**
 * The plan as a page to review: what is on both sides, what would be done in numbers and by prefix, what to look at
 * first, what changes its meaning, what stands in the way, and what applying it would be like.
 */
import {
  keyFromJson,
  sampleTransactionMs,
  selectionText,
  shellWord,
  type PlanDocument,
  type PlannedSide,
} from '@keyferry/core';
import { plannedBackupText } from '../backups.ts';
import { columns } from '../layout/columns.ts';
import { pasteable } from '../layout/commands.ts';
import { prefixText } from '../layout/keys.ts';
import { counted, countText, durationText, instantForPeople, listText } from '../layout/numbers.ts';
import { positionText } from '../layout/positions.ts';
import type { ViewContext } from '../view.ts';
import { plannedOnlineLines } from '../online/planned.ts';
import { costLines } from './cost.ts';
import { findingLines } from './findings.ts';
import { lookFirstLines } from './look-first.ts';
import { notCarriedCount } from './not-carried.ts';
import { applyCommand, blockingCodes, type PlanResult } from './result.ts';
import { meaningRows, orderText, replicateRows, summaryLine, undoSentences, wayBackText } from './sentences.ts';
import { prefixTable, totalsTable } from './tables.ts';

export function planHuman({ plan, file, occasion }: PlanResult, context: ViewContext): string {
  const { strong } = context.palette;
  const title = `${strong(`Plan ${plan.plan}`)}   ${plan.migration}   strategy ${plan.strategy}`;
  return [
    occasion === 'made' ? `${title}   (nothing was written)` : `${title}   made ${instantForPeople(plan.createdAt)}`,
    '',
    ...sides(plan),
    '',
    ...totalsTable(plan, context.palette),
    '',
    ...prefixTable(plan),
    '',
    ...section(strong('Look here first'), lookFirstLines(plan, context.palette)),
    ...section(strong('Changes of meaning'), meaningLines(plan)),
    ...findingLines(plan, context.palette),
    ...applyWould(plan, context),
    summaryLine(plan),
    ...lastLines(plan, file, occasion, context),
    '',
  ].join('\n');
}

function section(title: string, lines: readonly string[]): string[] {
  return lines.length === 0 ? [] : [title, ...lines];
}

function sides(plan: PlanDocument): string[] {
  const { source, target, totals } = plan;
  const sameCluster =
    source.description.identity !== null && source.description.identity === target.description.identity;
  const { overwrite, delete: deleted, equal, conflict, blocked } = totals.actions;
  const inTarget = overwrite.keys + deleted.keys + equal.keys + conflict.keys + totals.targetOnly;
  // A blocked record may be in the target or not, so the number is known only where nothing is blocked and all was read.
  const isKnown = blocked.keys === 0 && plan.targetRead === 'scanned';
  const there = isKnown ? `, ${counted(inTarget, 'key')} there` : '';
  const left = [
    { align: 'left' },
    { align: 'left' },
    { align: 'left' },
    { align: 'left', gap: 3 },
    { align: 'left', gap: 3 },
  ] as const;
  const rows = columns(
    [
      [
        '  source',
        source.description.kind,
        serverText(source),
        placeText(source),
        `position ${positionText(source.position)}`,
      ],
      [
        '  target',
        target.description.kind,
        sameCluster ? 'same cluster' : serverText(target),
        placeText(target),
        `position ${positionText(target.position)}${there}`,
      ],
    ],
    left,
  );
  return [
    ...rows,
    ...membersLine(source),
    ...(plan.selection === null
      ? []
      : [`  part    ${selectionText(plan.selection)}; the rest of the migration stays as it is`]),
    `  scan    ${scanText(plan)} in ${durationText(plan.scanMs)}`,
    `  rules   ${rulesText(plan)}   digest ${plan.rulesDigest.slice(0, 8)}`,
    ...plan.rules.map((rule) => `          ${rule}`),
    ...(plan.rules.length === 0 ? [] : [`  order   ${orderText(plan)}`]),
  ];
}

/** Only a source of several members can disagree with itself. */
function membersLine({ membersAgreeAt, membersCompared = 1, description: { members } }: PlannedSide): string[] {
  if (membersAgreeAt === null) return [];
  return [`  members ${whoAgrees(membersCompared, members ?? membersCompared)} at raft index ${membersAgreeAt}`];
}

function whoAgrees(compared: number, members: number): string {
  if (compared < 2) return 'the member that was asked is';
  if (compared < members) return `${countText(compared)} of ${countText(members)} were compared, and agree,`;
  return `all ${countText(compared)} agree,`;
}

/** Entries and not records: directories and what the rules leave out are met too, and are no records. */
function scanText({ totals }: PlanDocument): string {
  const notCarried = notCarriedCount(totals);
  const ofWhich = notCarried === 0 ? '' : `, ${countText(notCarried)} of them not carried,`;
  return `${counted(totals.scanned, 'entry', 'entries')}${ofWhich}`;
}

function serverText({ description: { members, version } }: PlannedSide): string {
  return members === null ? version : `${counted(members, 'member')}, ${version}`;
}

const placeText = (side: PlannedSide): string => `prefix ${prefixText(side.prefix)}`;

function rulesText(plan: PlanDocument): string {
  const { source, target, totals, meaning } = plan;
  const same = keyFromJson(source.prefix) === keyFromJson(target.prefix);
  const kept = plan.order === 'spilled' ? 'same prefix' : 'same key bytes';
  const rules = [same ? kept : `${prefixText(source.prefix)} becomes ${prefixText(target.prefix)}`];
  const { notCarried } = totals;
  if (notCarried['dir.with-children'] !== undefined) rules.push('directories become prefixes');
  if (meaning.some(({ code }) => code === 'ttl.to-lease')) rules.push('TTL becomes a lease');
  return rules.join('; ');
}

function meaningLines(plan: PlanDocument): string[] {
  const rows = meaningRows(plan).map(([code, what]) => [`  ${code}`, what]);
  return columns(rows, [{ align: 'left' }, { align: 'left' }]);
}

function applyWould(plan: PlanDocument, { palette }: ViewContext): string[] {
  const { estimate, totals, chunks, migration, keepBefore } = plan;
  const { create, overwrite, delete: deleted } = totals.actions;
  const guarded = overwrite.keys + deleted.keys;
  const keys = counted(create.keys + guarded, 'key');
  const { transactions, keysPerTransaction, workers } = estimate;
  const how = `${counted(transactions, 'transaction')} (at most ${counted(keysPerTransaction, 'guarded key')} each)`;
  const by = `${counted(chunks, 'chunk')}, ${counted(workers, 'worker')}`;
  return [
    palette.strong(plan.applyable ? 'Apply would' : 'Apply would (once nothing blocks)'),
    ...(create.keys + guarded === 0
      ? ['  write    nothing']
      : [`  write    ${keys} in ${how}, ${by}`, `  take     ${timeText(plan)}`]),
    ...(plan.backups === undefined ? [] : [`  backup   ${plannedBackupText(plan.backups)}`]),
    ...(keepBefore && guarded > 0
      ? [
          `  keep     ${counted(guarded, 'record')} as they are now, in the state, before the first of a batch is changed`,
        ]
      : []),
    ...(plan.online === undefined ? [] : plannedOnlineLines(plan.online)),
    ...verifyLines(plan),
    ...undoSentences(plan).map((sentence, i) =>
      i === 0 ? `  undo     keyferry rollback ${migration}: ${sentence}` : `           ${palette.bad(sentence)}`,
    ),
    ...(plan.rules.length === 0 ? [] : [`  way back ${wayBackText(plan)}`]),
    ...costLines(plan),
  ];
}

/**
 * What is known is how fast this scan was, and into how many transactions the keys go; how long each takes is the
 * target's matter, so it is said what it would add.
 */
function timeText({ scanMs, totals, estimate: { transactions, workers } }: PlanDocument): string {
  const perSecond = scanMs > 0 ? (totals.scanned * 1000) / scanMs : 0;
  const writingMs = (transactions * sampleTransactionMs) / Math.max(1, workers);
  return (
    `about ${durationText(scanMs)} (${countText(Math.round(perSecond))} entries/s, as in this scan), plus ` +
    `${durationText(writingMs)} for each ${sampleTransactionMs} ms that a transaction takes`
  );
}

function lastLines(
  plan: PlanDocument,
  file: string | null,
  occasion: PlanResult['occasion'],
  context: ViewContext,
): string[] {
  const { palette, nowMs } = context;
  const planAgain = pasteable(
    `keyferry plan ${plan.migration} --out ${shellWord(file ?? `${plan.migration}.kfplan`)}`,
    context,
  );
  if (!plan.applyable) {
    const solve = palette.bad(`Not applyable: solve ${listText(blockingCodes(plan))}.`);
    const exit = occasion === 'shown' ? '' : '   (exit 4)';
    return [`${file === null || occasion === 'asking' ? '' : `Saved ${file} for review. `}${solve}${exit}`];
  }
  if (occasion === 'asking') return [];
  if (file === null) return [`Not saved.   Next: ${planAgain}`];
  if (Date.parse(plan.expiresAt) <= nowMs) {
    return [`${file} expired ${instantForPeople(plan.expiresAt)}.   Next: ${planAgain}`];
  }
  const what = occasion === 'made' ? `Saved ${file}` : file;
  return [
    `${what}, valid until ${instantForPeople(plan.expiresAt)}.   Next: ${pasteable(applyCommand(plan, file), context)}`,
  ];
}

/** How a plan is proven, which its strategy decides. */
function verifyLines({ online, replicate }: PlanDocument): readonly string[] {
  if (replicate !== undefined) return replicateRows(replicate);
  if (online === undefined) return ['  verify   digests of both sides, then stop'];
  return [
    '  verify   every key of the source is in the target, or written or deleted there by the application; then stop',
  ];
}
