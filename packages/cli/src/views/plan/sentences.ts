/** What the page and the Markdown of a plan say in the same words: its sum, and what changes its meaning. */
import { leasesCountedMax, type FeedCapabilities, type PlanDocument, type ReplicatePlan } from '@keyferry/core';
import { counted, countText, durationText } from '../layout/numbers.ts';
import { notCarriedCount, notCarriedTexts } from './not-carried.ts';

export function summaryLine({ totals, findings }: PlanDocument): string {
  const { create, overwrite, delete: deleted, equal, conflict, blocked } = totals.actions;
  const notCarried = notCarriedCount(totals);
  const rest = [
    `${countText(equal.keys)} equal`,
    `${countText(conflict.keys)} conflict`,
    ...(blocked.keys > 0 ? [`${countText(blocked.keys)} blocked`] : []),
    `${countText(notCarried)} not carried`,
  ].join(', ');
  const warnings = findings.filter(({ level }) => level === 'warning').length;
  const work =
    `Plan: ${countText(create.keys)} to create, ${countText(overwrite.keys)} to overwrite, ` +
    `${countText(deleted.keys)} to delete`;
  return `${work}; ${rest}; ${counted(warnings, 'warning')}.`;
}

/** How both sides are brought side by side. */
export function orderText({ order, rules, targetRead }: PlanDocument): string {
  if (order === 'merged') return 'merged: the rules keep the order of keys';
  const why = hasProgram(rules)
    ? 'nobody can prove what a program does to the order of keys'
    : 'the rules change the order of keys';
  const sorted = `spilled to disk and sorted: ${why}`;
  return targetRead === 'scanned' ? sorted : `${sorted}; in the target these keys alone were looked up`;
}

/** As the names of rules in a plan begin with what they are. */
const hasProgram = (rules: readonly string[]): boolean => rules.some((rule) => rule.startsWith('program '));

/** Whether what the rules do can be undone; rollback, which removes and restores, always can. */
export function wayBackText({ wayBack, oneWay, rules }: PlanDocument): string {
  if (wayBack === 'lossless') return 'lossless: what the rules do can be undone exactly';
  if (hasProgram(rules)) return 'none: nobody can prove that what a program does can be undone';
  return oneWay > 0
    ? `none: ${counted(oneWay, 'key')} that no rule renames would be taken for renamed ones`
    : 'none: a rule changes keys or values in a way that cannot be undone';
}

/** Under strategy `replicate`: what follows the copying, how long applications cannot write, and what each feed bears. */
export function replicateRows(settings: ReplicatePlan): readonly string[] {
  const { freeze, feed, feedBack, pauseMaxMs } = settings;
  const by = { key: `applications that follow ${freeze.where}`, command: freeze.where, person: freeze.where }[
    freeze.kind
  ];
  return [
    `  follow   changes of the source from before the first read on: ${feedText(feed)}`,
    '  verify   both sides record by record, while they move; then stop, or go on with --follow',
    `  cutover  a command of its own; writes are held by ${by}`,
    `  pause    longest write pause ${durationText(pauseMaxMs)}, else it is undone; ${shortestPauseText(settings)}`,
    `  back     until finalize, without losing a write: changes of the target, ${feedText(feedBack)}`,
  ];
}

function shortestPauseText({ freeze, instances, requestLifeMs }: ReplicatePlan): string {
  const bySilence = `at least ${durationText(requestLifeMs)}, the life of a request`;
  if (freeze.kind !== 'key' || instances === 'none') return bySilence;
  const asLongAs = 'as long as instances take to acknowledge it';
  return instances === undefined
    ? `${bySilence}, or ${asLongAs} where they are registered`
    : `${asLongAs}, of which ${counted(instances.min, 'instance')} must be registered`;
}

function feedText({ kind, retention: { changesMax, ageMsMax } }: FeedCapabilities): string {
  const what = kind === 'log' ? 'each one, in order' : 'as they are found by comparing';
  const kept = [
    ...(changesMax === null ? [] : [`the last ${countText(changesMax)}`]),
    ...(ageMsMax === null ? [] : [`those of ${durationText(ageMsMax)}`]),
  ];
  return kept.length === 0 ? `${what}, until they are compacted` : `${what}, of which it keeps ${kept.join(' and ')}`;
}

/** What rollback would do with what the plan does, in a sentence of its own for the records that it cannot bring back. */
export function undoSentences({ totals, keepBefore, online }: PlanDocument): readonly string[] {
  if (online?.followedBy === 'time')
    return ['none: applications write the target in every mode; until cutover the key stays as it is'];
  if (online !== undefined) {
    return [
      'until finalize; does in the source what applications did in the target, then clears it; writes are held meanwhile',
    ];
  }
  const { overwrite, delete: deleted } = totals.actions;
  const guarded = overwrite.keys + deleted.keys;
  if (guarded === 0) return ['removes what this run created and nobody changed'];
  if (keepBefore)
    return ['removes what this run created and puts back what it overwrote or deleted, if nobody changed it'];
  return [
    'removes what this run created and nobody changed',
    `cannot bring back ${counted(guarded, 'record')} that it overwrites or deletes: keepBefore is false`,
  ];
}

/** Code and sentence of each change of meaning. */
export function meaningRows({
  meaning,
  target,
  leaseBucketMs,
}: PlanDocument): (readonly [code: string, what: string])[] {
  return meaning.map(({ code, count, leases }) => {
    switch (code) {
      case 'ttl.to-lease': {
        const longer = leaseBucketMs > 0 ? `; a key may live up to ${durationText(leaseBucketMs)} longer` : '';
        if (leases !== undefined) return [code, `${sharedLeases(count, leases)}${longer}`];
        const keys = counted(count, 'key with a TTL expires', 'keys with a TTL expire');
        return [code, `${keys} in the target too${longer}`];
      }
      case 'dir.empty': {
        const has = count === 1 ? 'has' : 'have';
        return [code, `${notCarriedTexts[code](count)} ${has} no form in ${target.description.kind}`];
      }
      case 'index.changed':
        return [code, 'versions begin anew in the target; clients that compare them have to read them again'];
    }
  });
}

/** Many leases are what slows an etcd, so that their number is worth a look. */
function sharedLeases(keys: number, leases: number): string {
  if (keys === 1) return '1 key with a TTL gets a lease';
  const number =
    leases >= leasesCountedMax ? `${countText(leases)} leases or more` : `at most ${counted(leases, 'lease')}`;
  return `${countText(keys)} keys with a TTL share ${number}`;
}
