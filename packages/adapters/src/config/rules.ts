/** The rules of a migration as one transform, in the order in which they stand. Globs see keys as they will be written. */
import {
  compose,
  decodeBase64,
  editJson,
  encodeBase64,
  gunzip,
  gzip,
  keyToText,
  onlyFor,
  selectKeys,
  type Key,
  type Transform,
} from '@keyferry/core';
import { compileGlob } from './glob.ts';
import type { RuleConfig, ValueMapConfig } from './resolved-config.ts';

/** Null when no rule says anything about keys or values. */
export function buildTransform(rules: readonly RuleConfig[]): Transform | null {
  const transforms = rules.flatMap((rule) => transformOf(rule) ?? []);
  return transforms.length === 0 ? null : compose(transforms);
}

/** How long keys may live on so that leases can be shared; undefined: the adapter's own default. */
export function leaseBucketOf(rules: readonly RuleConfig[]): number | undefined {
  for (const rule of rules) if ('ttl' in rule) return rule.ttl.toLease.bucketMs;
  return undefined;
}

/** Whether the rules carry a key at all. Globs are over target keys, so a key that only the target has can be asked for. */
export function scopeOf(rules: readonly RuleConfig[]): (targetKey: Key) => boolean {
  const conditions = rules.flatMap((rule) => {
    if ('include' in rule) return [matcher(rule.include)];
    if (!('exclude' in rule)) return [];
    const excluded = matcher(rule.exclude);
    return [(key: Key) => !excluded(key)];
  });
  return (targetKey) => conditions.every((holds) => holds(targetKey));
}

function transformOf(rule: RuleConfig): Transform | null {
  if ('ttl' in rule) return null; // the target's: it grants the leases
  if ('include' in rule) return selectKeys(`include ${rule.include.join(', ')}`, matcher(rule.include));
  if ('exclude' in rule) {
    const excluded = matcher(rule.exclude);
    return selectKeys(`exclude ${rule.exclude.join(', ')}`, (key) => !excluded(key));
  }
  const { map, keys } = rule.value;
  return keys === null ? valueMap(map) : onlyFor(keys.join(', '), matcher(keys), valueMap(map));
}

function valueMap(map: ValueMapConfig): Transform {
  switch (map.kind) {
    case 'base64':
      return map.direction === 'encode' ? encodeBase64() : decodeBase64();
    case 'gzip':
      return map.direction === 'compress' ? gzip() : gunzip();
    case 'json':
      return editJson(map.edits);
  }
}

function matcher(globs: readonly string[]): (key: Key) => boolean {
  const matchers = globs.map(compileGlob);
  // A key that is no text is matched byte by byte, as in sensitive.ts.
  return (key) => {
    const text = keyToText(key) ?? key;
    return matchers.some((matches) => matches(text));
  };
}
