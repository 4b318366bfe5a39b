/**
 * What `explain` says about a finding beyond core's summary: why it matters, and what usually solves it. The plan that
 * has the finding knows its keys and says the fix of that case; a code without an entry here refers to that.
 */
import type { FindingCode } from '@keyferry/core';

export const findingAdvice: Partial<Readonly<Record<FindingCode, { readonly why: string; readonly fix: string }>>> = {
  'target.not-empty': {
    why: 'requireEmpty says that this target must be empty, and it is not: it may be the wrong one',
    fix: 'empty it, choose another target, or take requireEmpty out of the migration',
  },
  'members.apart': {
    why: 'a member that lags behind would be copied without what it has not seen yet',
    fix: 'stop the writers, or bring back the member that lags, then plan again',
  },
  'same-store': {
    why: 'what is written would be read again as source, or the open source would keep the target from being written',
    fix: 'choose a target prefix beside the source prefix, another file or another cluster',
  },
  'conflict.found': {
    why: 'a newer or foreign value is never overwritten silently',
    fix: 'settle them by hand, or decide for all of them in the migration:   onConflict: keep-target, or overwrite',
  },
  'conflict.kept': {
    why: 'readers of the target will see these values and not those of the source; verify admits these differences only',
    fix: 'see them, and settle what is wrong by hand:   keyferry show FILE --only conflict',
  },
  'value.too-large': {
    why: 'the target would refuse them in the middle of apply',
    fix: 'exclude the keys, shrink the values, or raise the limit of the target',
  },
  'key.empty': { why: 'the target takes no empty key', fix: 'give the target prefix at least one byte' },
  'key.reserved': {
    why: "keyferry's own keys are there: fences, marks and tombstones, which no scan shows",
    fix: "choose a target prefix outside keyferry's reserved one, or another reservedPrefix for the store",
  },
  'rule.untraced': {
    why: 'a record that names no record of the source takes no expiry from it, and one that was left out does not show',
    fix: "let the program copy each node's modifiedIndex into mod_revision, or use protocol: json-lines",
  },
  'rule.failed': {
    why: 'what the rules say of the others cannot be done to these records, and they are not left out silently',
    fix: 'correct the records or the rule, or exclude their keys before it',
  },
  'key.collision': {
    why: 'only one of several records can have a key, and which one is nobody but your decision',
    fix: 'change the rule that brings them together, or exclude all but one of each before it',
  },
  'key.outside-prefix': {
    why: 'nobody looks beside the prefix of the target: neither the diff, nor verify, nor rollback',
    fix: 'change the rule, exclude the keys, or choose a target prefix that holds what they become',
  },
  'prune.source-empty': {
    why: 'a wrong prefix or the wrong store looks exactly the same',
    fix: 'see that the source is the right one; to empty a target, delete its keys by hand',
  },
  'prune.unproven': {
    why: 'a delete follows only from a key that is not there; this source may hide some, or a module dropped records whose keys in the target cannot be told',
    fix: 'see that none of them is missed, then   keyferry apply FILE --accept prune.unproven',
  },
  'guard.deletes': {
    why: 'so many deletes come from a mistake more often than from a plan',
    fix: 'look at them with   keyferry show FILE --only delete   and accept them at apply, or raise guards',
  },
  'backup.none': {
    why: 'rollback puts back what was kept before, and keepBefore is false',
    fix: 'say   keepBefore: true   or, if there is another backup, accept it at apply',
  },
  'ttl.dropped': {
    why: 'what was to vanish by itself would stay for good',
    fix: 'choose a target with expiry, or accept it:   keyferry apply FILE --accept ttl.dropped',
  },
  'ttl.short': {
    why: 'a key may expire before it is reached; apply counts it then, and nothing is lost',
    fix: 'apply soon after the plan',
  },
  'value.replaced-text': {
    why: 'the source shows U+FFFD in place of bytes that are not UTF-8: what it really holds there cannot be told',
    fix: 'find out what wrote them; if the text is meant:   keyferry apply FILE --accept value.replaced-text',
  },
  'source.left-out': {
    why: 'they stay in the source alone; the plan counts them by reason under "not carried"',
    fix: 'carry what can be carried (flags of a Consul store, other items of a DynamoDB table), or accept it:   keyferry apply FILE --accept source.left-out',
  },
  'source.hidden-keys': {
    why: 'neither plan nor verify can see what the source does not list',
    fix: 'ask whether an application has such keys; a prefix that names them, or a right to read them, shows them',
  },
  'read.not-pinned': {
    why: 'a write during the scan may be half seen; apply proves afterwards that nothing moved',
    fix: 'stop every writer of the source before plan and until apply has ended',
  },
};
