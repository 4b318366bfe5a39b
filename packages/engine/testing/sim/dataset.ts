/**
 * The records of one seed: few keys, chosen to meet the places where merges and chunk borders break (`a-b` beside
 * `a/b`, one key that begins another, bytes above 0x7f), some with a time to live, some in the target already.
 */
import { keyFromText, toSourceKey, toTargetKey, type Key, type PrefixRule, type Transform } from '@keyferry/core';
import type { MemoryStore } from '@keyferry/core/testing';
import type { Prng } from './prng.ts';

const parts = ['a', 'a-b', 'a/b', 'ab', 'b', 'é', 'z~'] as const;
const encoder = new TextEncoder();

export const rule: PrefixRule = { sourcePrefix: keyFromText('src/'), targetPrefix: keyFromText('dst/') };
export const valueOf = (text: string): Uint8Array => encoder.encode(text);

/** Which key of the target a source key becomes, in one seed, and the rules that say so to the engine. */
export interface Keys {
  readonly transform: Transform | null;
  readonly toTarget: (sourceKey: Key) => Key;
  readonly toSource: (targetKey: Key) => Key;
}

export const plainKeys: Keys = {
  transform: null,
  toTarget: (key) => toTargetKey(rule, key),
  toSource: (key) => toSourceKey(rule, key),
};

/** In no order that a merge could use, and with bytes that are not UTF-8: the engine has to sort the image first. */
export const reversedKeys: Keys = {
  transform: {
    name: 'reverse keys',
    get inverse() {
      return reversedKeys.transform;
    },
    reprefix: () => null,
    apply: (record) => ({ kind: 'kept', record: { ...record, key: reverseRest(record.key, rule.targetPrefix) } }),
  },
  toTarget: (key) => reverseRest(toTargetKey(rule, key), rule.targetPrefix),
  toSource: (key) => reverseRest(toSourceKey(rule, key), rule.sourcePrefix),
};

function reverseRest(key: Key, prefix: Key): Key {
  return (prefix + key.slice(prefix.length).split('').toReversed().join('')) as Key;
}

/** Everything that each source key ever held. */
export type SourceHistory = Map<Key, string[]>;

export function sourceKey(index: number): Key {
  const part = parts[index % parts.length] ?? 'a';
  const round = Math.floor(index / parts.length);
  return keyFromText(`src/${part}${round === 0 ? '' : `/${round}`}`);
}

export interface Dataset {
  readonly map: Keys;
  readonly history: SourceHistory;
  readonly keys: readonly Key[];
  readonly expiring: boolean;
}

export function fillStores(
  prng: Prng,
  map: Keys,
  { source, target }: { readonly source: MemoryStore; readonly target: MemoryStore },
  nowMs: number,
): Dataset {
  const history: SourceHistory = new Map();
  const count = prng.pick([0, 1, 5, 12, 25, 45]);
  const expiring = prng.chance(0.25);
  const targetShare = prng.pick([0, 0, 0.2]);
  const keys: Key[] = [];
  for (let i = 0; i < count; i += 1) {
    const key = sourceKey(i);
    const value = `s${i}`;
    const expiresAtMs = expiring && prng.chance(0.3) ? nowMs + prng.pick([5_000, 40_000, 150_000, 86_400_000]) : null;
    source.put(key, valueOf(value), expiresAtMs);
    history.set(key, [value]);
    keys.push(key);
    if (!prng.chance(targetShare)) continue;
    const equal = prng.chance(0.5);
    target.put(map.toTarget(key), valueOf(equal ? value : `old${i}`), equal ? expiresAtMs : null);
  }
  // For plans that prune: between the source's keys, before and behind them.
  for (let i = prng.pick([0, 0, 1, 4, 9]); i > 0; i -= 1) {
    target.put(keyFromText(`dst/${prng.pick(['a', 'a/b', 'b', 'zz'])}~${i}`), valueOf(`stray${i}`));
  }
  source.put(keyFromText('src0'), valueOf('beside the prefix'));
  if (prng.chance(0.3)) target.put(keyFromText('dst/a-only-here'), valueOf('foreign'));
  if (prng.chance(0.3)) target.put(keyFromText('elsewhere'), valueOf('foreign'));
  return { map, history, keys, expiring };
}
