/**
 * Findings about what a plan takes away: too many deletes, deletes that nothing proves, and changes without a way back.
 *
 * A delete follows only from a key that the source does not have, and an absence proves nothing by itself: the wrong
 * prefix, an empty store or one that hides keys looks the same. So past the guards a person must say so, and an empty
 * source is no reason to delete anything.
 */
import {
  counted,
  countText,
  finding,
  guardedCount,
  keyForDisplay,
  keyFromJson,
  type BuiltPlan,
  type Finding,
  type MigrationSpec,
  type StoreCapabilities,
} from '@keyferry/core';

/** What speaks against the deletes of a plan. */
export function deleteFindings(
  { hidesKeys, pinnedView }: StoreCapabilities,
  { guards }: MigrationSpec,
  built: BuiltPlan,
): readonly Finding[] {
  const { actions } = built.totals;
  const deletes = actions.delete.keys;
  if (deletes === 0) return [];
  const findings: Finding[] = [];
  const records = actions.create.keys + actions.overwrite.keys + actions.equal.keys;
  if (records + actions.conflict.keys + actions.blocked.keys === 0) {
    const detail = `nothing was found in the source, and ${counted(deletes, 'key')} would be deleted in the target`;
    const fix = 'see that the source is the right one and holds its keys; to empty a target, delete its keys by hand';
    findings.push(finding('prune.source-empty', { count: deletes, detail, fix }));
  }
  const doubt = whyUnproven({ hidesKeys, pinnedView }, built);
  if (doubt !== null) {
    const fix = 'see that none of them is in the source, then accept it at apply:   --accept prune.unproven';
    const detail = `${counted(deletes, 'key')} would be deleted, and their absence is no proof: ${doubt}`;
    findings.push(finding('prune.unproven', { count: deletes, detail, fix }));
  }
  const beyond = guardsBroken(guards, built);
  if (beyond.length > 0) {
    const fix = 'look at them with   keyferry show FILE --only delete   and accept them at apply, or raise guards';
    findings.push(finding('guard.deletes', { count: deletes, detail: beyond.join('; '), fix }));
  }
  return findings;
}

/** Why a key without a source key may have one all the same; null: it has none. */
function whyUnproven(
  { hidesKeys, pinnedView }: Pick<StoreCapabilities, 'hidesKeys' | 'pinnedView'>,
  { totals }: BuiltPlan,
): string | null {
  if (hidesKeys !== null) return `${hidesKeys} in no scan of the source`;
  if (!pinnedView) return 'the source cannot be read at one position';
  const { 'flags.set': flags = 0, 'key.not-text': notText = 0, 'lock.held': locks = 0 } = totals.notCarried;
  const leftOut = flags + notText + locks;
  if (leftOut > 0) return `${counted(leftOut, 'record')} of the source ${leftOut === 1 ? 'is' : 'are'} left out`;
  // Rules that select keys can be asked about a key; what a module drops it drops by looking at the record.
  const dropped = totals.notCarried['rule.dropped'] ?? 0;
  return dropped > 0
    ? `a module left out ${counted(dropped, 'record')}, whose keys in the target nobody can tell`
    : null;
}

/** Prefixes that are named in one finding. */
const prefixesNamed = 3;

function guardsBroken({ deleteShareMax, deletesMax }: MigrationSpec['guards'], built: BuiltPlan): readonly string[] {
  const deletes = built.totals.actions.delete.keys;
  const share = (part: number, of: number): string =>
    `${countText(part)} of ${counted(of, 'key')}, ${percentText(part / of)}, guard ${percentText(deleteShareMax)}`;
  const beyond: string[] = [];
  if (deletes > deletesMax) beyond.push(`${counted(deletes, 'key')} in all, guard ${countText(deletesMax)}`);
  if (deletes > deleteShareMax * built.targetKeys) beyond.push(`of the target ${share(deletes, built.targetKeys)}`);
  const prefixes = built.deletedBeyond(deleteShareMax);
  for (const { prefix, deleted, of } of prefixes.slice(0, prefixesNamed)) {
    beyond.push(`under ${keyForDisplay(keyFromJson(prefix))} ${share(deleted, of)}`);
  }
  if (prefixes.length > prefixesNamed)
    beyond.push(`and under ${counted(prefixes.length - prefixesNamed, 'more prefix', 'more prefixes')}`);
  return beyond;
}

const percentText = (share: number): string => `${(share * 100).toFixed(1).replace(/\.0$/, '')} %`;

/** What could not be restored is said before anybody applies it. */
export function backupFindings({ keepBefore }: MigrationSpec, built: BuiltPlan): readonly Finding[] {
  const { overwrite, delete: deleted } = built.totals.actions;
  const count = guardedCount({ overwrite: overwrite.keys, delete: deleted.keys });
  if (keepBefore || count === 0) return [];
  const detail = `${counted(count, 'record')} would be overwritten or deleted and not kept: rollback could not bring back any of them`;
  const fix = 'say   keepBefore: true   or, if there is another backup, accept it at apply:   --accept backup.none';
  return [finding('backup.none', { count, detail, fix })];
}
