/**
 * The prefix rule: a source key under one prefix becomes the same rest under another. It keeps byte order, never maps
 * two keys to one, and has an exact inverse, so it keeps the merge of two scans and loses nothing on the way back.
 */
import { prefixEnd, type Key, type KeyRange } from '../model/key.ts';

export interface PrefixRule {
  readonly sourcePrefix: Key;
  readonly targetPrefix: Key;
  /** A prefix of `targetPrefix`: all keys under it are looked at, though none but those under the other one are mapped to. */
  readonly targetSpan?: Key;
}

/** The prefix under which the keys of the target are looked at. */
export const targetSpanOf = ({ targetPrefix, targetSpan }: PrefixRule): Key => targetSpan ?? targetPrefix;

export function toTargetKey(rule: PrefixRule, key: Key): Key {
  // The common case, and this runs once for each record of each scan.
  if (rule.sourcePrefix === rule.targetPrefix) return key;
  return (rule.targetPrefix + key.slice(rule.sourcePrefix.length)) as Key;
}

export function toSourceKey(rule: PrefixRule, key: Key): Key {
  return (rule.sourcePrefix + key.slice(rule.targetPrefix.length)) as Key;
}

/**
 * The target keys that a range of source keys maps to; the range must lie within the source prefix. The first and the
 * last range of the prefix take with them what lies before and behind in the target's span.
 */
export function toTargetRange(rule: PrefixRule, range: KeyRange): KeyRange {
  const sourceEnd = prefixEnd(rule.sourcePrefix);
  const reachesEnd = range.end === null || (sourceEnd !== null && range.end >= sourceEnd);
  const span = targetSpanOf(rule);
  return {
    start: range.start === rule.sourcePrefix ? span : toTargetKey(rule, range.start),
    end: reachesEnd || range.end === null ? prefixEnd(span) : toTargetKey(rule, range.end),
  };
}
