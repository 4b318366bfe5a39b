/**
 * Renames keys prefix for prefix: those under `prefix` get `to` in its place, the others stay as they are.
 *
 * Its inverse is the same rename the other way round. It cannot know a key that was under `to` already from one that
 * came there, so such a key is called one-way; where there is none, the way back is exact.
 */
import type { Key } from '../model/key.ts';
import { keyForDisplay } from '../model/key.ts';
import type { Transform, TransformOutcome } from './transform.ts';

export function renamePrefix(prefix: Key, to: Key): Transform {
  const replaced = (key: Key): Key => (to + key.slice(prefix.length)) as Key;
  return {
    name: `rename ${keyForDisplay(prefix)} to ${keyForDisplay(to)}`,
    get inverse() {
      return renamePrefix(to, prefix);
    },
    reprefix: (outer) => {
      if (outer.startsWith(prefix)) return replaced(outer);
      // Either none of the keys under `outer` is renamed, or some of them.
      return prefix.startsWith(outer) ? null : outer;
    },
    apply: (record): TransformOutcome => {
      const { key } = record;
      if (key.startsWith(prefix)) return { kind: 'kept', record: { ...record, key: replaced(key) } };
      return key.startsWith(to) ? { kind: 'kept', record, oneWay: true } : { kind: 'kept', record };
    },
  };
}
