/** Leaves records out by key: those that match none of `include`, or one of `exclude`. Counted, by rule. */
import type { Key } from '../model/key.ts';
import { identity, keepsKeys, type Transform } from './transform.ts';

export function selectKeys(name: string, keeps: (key: Key) => boolean): Transform {
  return {
    name,
    inverse: identity, // what was carried goes back as it is; what was left out is still in the source
    reprefix: keepsKeys,
    apply: (record) => (keeps(record.key) ? { kind: 'kept', record } : { kind: 'dropped', reason: 'rule.excluded' }),
  };
}
