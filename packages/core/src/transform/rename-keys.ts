/**
 * Renames keys by a regular expression and a template (`$1`, `$<name>`, `$&`, as in JavaScript).
 *
 * There is a way back only if the configuration states one, and it is not believed: each key is taken there and back
 * while planning, and one that does not return fails the plan. Text only: a key that is not UTF-8 cannot be matched.
 */
import { keyFromText, keyToText } from '../model/key.ts';
import type { Transform, TransformOutcome } from './transform.ts';

export interface Renaming {
  /** Without flags g or y: a key is matched once. */
  readonly pattern: RegExp;
  readonly to: string;
}

/** Keys that the pattern does not match stay as they are. */
export function renameKeys(forward: Renaming, back: Renaming | null): Transform {
  const name = `rename ${forward.pattern.source} -> ${forward.to}`;
  return {
    name,
    changesKeys: true,
    get inverse() {
      return back === null ? null : renameKeys(back, forward);
    },
    apply: (record): TransformOutcome => {
      const text = keyToText(record.key);
      if (text === null || !forward.pattern.test(text)) return { kind: 'kept', record };
      const renamed = text.replace(forward.pattern, forward.to);
      if (back !== null && renamed.replace(back.pattern, back.to) !== text) {
        return { kind: 'failed', detail: `the way back of "${name}" does not lead from ${renamed} to ${text}` };
      }
      return { kind: 'kept', record: { ...record, key: keyFromText(renamed) } };
    },
  };
}
