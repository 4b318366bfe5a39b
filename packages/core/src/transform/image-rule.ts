/**
 * The image of a source: what the rules of its migration make of it, as it would stand in the target.
 *
 *     merged    source keys ──one prefix for another──► target keys     scanned as the source comes
 *     spilled   source keys ──in any way──► image keys, which are target keys     sorted first, then scanned
 *
 * Merge join, chunks, staleness, backfill and verify only ever see a scan in order and one prefix rule; this says which
 * for a migration. Of a spilled image the keys that are scanned are those of the target, so that rule changes nothing;
 * its chunks are ranges of them. A rule is merged only where it can be proven that order is kept: a scan that is not in
 * order would lose keys. Of what a program of the user's makes of keys nothing can be proven.
 */
import type { ProgramStage } from '../plan/migration-spec.ts';
import type { PrefixRule } from './prefix-rule.ts';
import type { Transform } from './transform.ts';

export interface ImageRule {
  readonly order: 'merged' | 'spilled';
  /** From the keys that are scanned to those of the target. */
  readonly rule: PrefixRule;
}

export function imageRule({
  rule,
  transform,
  program,
}: {
  readonly rule: PrefixRule;
  readonly transform: Transform | null;
  readonly program: ProgramStage | null;
}): ImageRule {
  if (program !== null) return spilled(rule);
  if (transform === null) return { order: 'merged', rule };
  const { sourcePrefix, targetPrefix } = rule;
  const becomes = transform.reprefix(targetPrefix);
  if (becomes === targetPrefix) return { order: 'merged', rule };
  // One that leaves the target's prefix has no place there; sorting finds and names each of its keys.
  return becomes?.startsWith(targetPrefix) === true
    ? { order: 'merged', rule: { sourcePrefix, targetPrefix: becomes, targetSpan: targetPrefix } }
    : spilled(rule);
}

const spilled = ({ targetPrefix }: PrefixRule): ImageRule => ({
  order: 'spilled',
  rule: { sourcePrefix: targetPrefix, targetPrefix },
});
