/**
 * The records of one seed: few keys, chosen to meet the places where merges and chunk borders break (`a-b` beside
 * `a/b`, one key that begins another, bytes above 0x7f), some with a time to live, some in the target already.
 */
import { keyFromText, toTargetKey, type Key, type PrefixRule } from '@keyferry/core';
import type { MemoryStore } from '@keyferry/core/testing';
import type { Prng } from './prng.ts';

const parts = ['a', 'a-b', 'a/b', 'ab', 'b', 'é', 'z~'] as const;
const encoder = new TextEncoder();

export const rule: PrefixRule = { sourcePrefix: keyFromText('src/'), targetPrefix: keyFromText('dst/') };
export const valueOf = (text: string): Uint8Array => encoder.encode(text);

/** Everything that each source key ever held. */
export type SourceHistory = Map<Key, string[]>;

export function sourceKey(index: number): Key {
  const part = parts[index % parts.length] ?? 'a';
  const round = Math.floor(index / parts.length);
  return keyFromText(`src/${part}${round === 0 ? '' : `/${round}`}`);
}

export interface Dataset {
  readonly history: SourceHistory;
  readonly keys: readonly Key[];
  readonly expiring: boolean;
}

export function fillStores(prng: Prng, source: MemoryStore, target: MemoryStore, nowMs: number): Dataset {
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
    target.put(toTargetKey(rule, key), valueOf(equal ? value : `old${i}`), equal ? expiresAtMs : null);
  }
  // For plans that prune: between the source's keys, before and behind them.
  for (let i = prng.pick([0, 0, 1, 4, 9]); i > 0; i -= 1) {
    target.put(keyFromText(`dst/${prng.pick(['a', 'a/b', 'b', 'zz'])}~${i}`), valueOf(`stray${i}`));
  }
  source.put(keyFromText('src0'), valueOf('beside the prefix'));
  if (prng.chance(0.3)) target.put(keyFromText('dst/a-only-here'), valueOf('foreign'));
  if (prng.chance(0.3)) target.put(keyFromText('elsewhere'), valueOf('foreign'));
  return { history, keys, expiring };
}
