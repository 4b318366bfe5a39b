/**
 * The plan as Markdown, for the description of a pull request: what a reviewer there needs, shorter than the page. Keys
 * stand in code spans and all else is escaped, so that a key cannot become a heading, a link or a table of its own.
 */
import { selectionText, type PlanDocument } from '@keyferry/core';
import { plainPalette } from '../../terminal/palette.ts';
import { pasteable } from '../layout/commands.ts';
import { keyText, prefixText } from '../layout/keys.ts';
import { bytesText, countText, instantForPeople, listText } from '../layout/numbers.ts';
import type { ViewContext } from '../view.ts';
import { costHeads, costRows, costSummary } from './cost.ts';
import { changeText, symbolOf } from './change-row.ts';
import { notCarriedCount } from './not-carried.ts';
import { applyCommand, blockingCodes, type PlanResult } from './result.ts';
import { meaningRows, orderText, summaryLine, undoSentences, wayBackText } from './sentences.ts';

export function planMarkdown({ plan, file }: PlanResult, context: ViewContext): string {
  const { source, target } = plan;
  const side = (of: typeof source): string => `${of.description.kind} ${code(prefixText(of.prefix))}`;
  return [
    `### Plan ${code(plan.plan)} of ${code(plan.migration)}`,
    '',
    `${plan.strategy}, from ${side(source)} to ${side(target)}; made ${instantForPeople(plan.createdAt)}, ` +
      `valid until ${instantForPeople(plan.expiresAt)}.`,
    ...(plan.selection === null ? [] : ['', `A part of it: ${text(selectionText(plan.selection))}.`]),
    '',
    `**${text(summaryLine(plan))}**`,
    '',
    ...table(['', 'keys', 'bytes'], totalRows(plan)),
    ...section('Findings', findingItems(plan)),
    ...section('Rules', ruleItems(plan)),
    ...section('Look here first', lookFirstItems(plan)),
    ...section(
      'Changes of meaning',
      meaningRows(plan).map(([name, what]) => `- ${code(name)}: ${text(what)}`),
    ),
    ...section('By prefix', prefixRows(plan)),
    ...section('Costs', costItems(plan)),
    '',
    ...(takesAway(plan) ? [...undoSentences(plan).map((sentence) => `Rollback ${text(sentence)}.`), ''] : []),
    plan.applyable
      ? `Next: ${code(pasteable(applyCommand(plan, file ?? 'FILE'), context))}`
      : `Not applyable: solve ${listText(blockingCodes(plan).map(code))}.`,
    '',
  ].join('\n');
}

function totalRows({ totals }: PlanDocument): string[][] {
  const { create, overwrite, delete: deleted, equal, conflict, blocked } = totals.actions;
  const row = (name: string, { keys, bytes }: typeof create): string[] => [name, countText(keys), bytesText(bytes)];
  return [
    row('create', create),
    ...(overwrite.keys > 0 ? [row('overwrite', overwrite)] : []),
    ...(deleted.keys > 0 ? [row('delete', deleted)] : []),
    row('equal', equal),
    row('conflict', conflict),
    row('blocked', blocked),
    ['not carried', countText(notCarriedCount(totals)), ''],
    ['total', countText(totals.scanned), ''],
  ];
}

function findingItems({ findings }: PlanDocument): string[] {
  return findings.map(({ level, code: name, detail, fix, accept, cases = [] }) => {
    const needs = accept ? ` Needs ${code(`--accept ${name}`)} at apply.` : '';
    const named = cases.map(({ key, detail: what }) => `\n  - ${code(keyText(key))}: ${text(what)}`).join('');
    return `- **${level}** ${code(name)}: ${text(detail)}. Fix: ${text(fix)}.${needs}${named}`;
  });
}

function costItems(plan: PlanDocument): string[] {
  const summary = costSummary(plan);
  if (summary === null) return [];
  const rows = costRows(plan).map(([what, units, dollars, perMillion, note]) => {
    return [note === '' ? what : `${what}: ${text(note)}`, units, dollars, perMillion];
  });
  return [`${text(summary)}.`, '', ...table(costHeads.slice(0, 4), rows)];
}

function ruleItems(plan: PlanDocument): string[] {
  if (plan.rules.length === 0) return [];
  const facts = [`order: ${orderText(plan)}`, `way back: ${wayBackText(plan)}`];
  return [...plan.rules.map((rule) => `1. ${code(rule)}`), '', ...facts.map((fact) => `- ${text(fact)}`)];
}

function lookFirstItems({ lookFirst, createdAt }: PlanDocument): string[] {
  return lookFirst.map(
    (row) =>
      `- ${code(symbolOf(row, plainPalette))} ${code(keyText(row.targetKey))} ${text(changeText(row, createdAt))}`,
  );
}

/** Most migrations only create; what does more has columns and lines of its own. */
function takesAway({ totals }: PlanDocument): boolean {
  return totals.actions.overwrite.keys + totals.actions.delete.keys > 0;
}

function prefixRows(plan: PlanDocument): string[] {
  const { byPrefix } = plan;
  if (byPrefix.length === 0) return [];
  const more = takesAway(plan);
  return table(
    ['prefix', 'create', ...(more ? ['overwrite', 'delete'] : []), 'equal', 'conflict', 'blocked', 'bytes', 'largest'],
    byPrefix.map(({ prefix, create, overwrite, delete: deleted, equal, conflict, blocked, bytes, largestBytes }) => [
      cell(code(keyText(prefix))),
      ...[create, ...(more ? [overwrite, deleted] : []), equal, conflict, blocked].map(countText),
      bytesText(bytes),
      bytesText(largestBytes),
    ]),
  );
}

function section(title: string, lines: readonly string[]): string[] {
  return lines.length === 0 ? [] : ['', `#### ${title}`, '', ...lines];
}

/** The first column to the left, the others, numbers, to the right. */
function table(head: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;
  return [line(head), line(head.map((_, i) => (i === 0 ? '---' : '--:'))), ...rows.map(line)];
}

/** A code span: its fence is longer than any run of backticks within. */
function code(content: string): string {
  const longest = Math.max(0, ...[...content.matchAll(/`+/g)].map(([run]) => run.length));
  const fence = '`'.repeat(longest + 1);
  const pad = longest > 0 ? ' ' : '';
  return fence + pad + content + pad + fence;
}

/** Within a table a bar ends the cell, even in a code span. */
const cell = (content: string): string => content.replaceAll('|', '\\|');

const text = (content: string): string => content.replace(/[\\`*_<>[\]|#]/g, '\\$&').replace(/\s*\n\s*/g, ' ');
