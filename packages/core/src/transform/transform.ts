/**
 * Transforms: what the rules of a migration do to a record on its way, one after another.
 *
 * Each is pure and sees what the one before made: the key as it would be written, the value, the expiry. Each says how
 * it is undone: law: inverse(forward(record)) = record for every record that it keeps. The planner prints the way back
 * from that. None changes a key: the scan then stays in order, and ranges stay ranges.
 */
import type { Key } from '../model/key.ts';
import type { NotCarriedReason } from '../model/record.ts';

/** A record on its way: what a rule may look at and change. */
export interface Moving {
  readonly key: Key;
  readonly value: Uint8Array;
  readonly expiresAtMs: number | null;
}

export type TransformOutcome =
  | { readonly kind: 'kept'; readonly record: Moving }
  | { readonly kind: 'dropped'; readonly reason: NotCarriedReason }
  /** The rule cannot be applied to this record; it blocks the plan, with the record named. */
  | { readonly kind: 'failed'; readonly detail: string };

export interface Transform {
  /** As it stands in the plan, e.g. `rename ^/a/(.*)$ -> /b/$1`. */
  readonly name: string;
  /** The names of its parts, where it has several. */
  readonly parts?: readonly string[];
  /** Undoes it exactly, or null: then there is no way back for what it did. */
  readonly inverse: Transform | null;
  readonly apply: (record: Moving) => TransformOutcome;
}

/** Several transforms as one; none at all keeps every record as it is. */
export function compose(transforms: readonly Transform[]): Transform {
  const inverses = transforms.map(({ inverse }) => inverse).toReversed();
  return {
    name: transforms.map(({ name }) => name).join('; '),
    parts: transforms.map(({ name }) => name),
    get inverse() {
      return inverses.every((inverse) => inverse !== null) ? compose(inverses) : null;
    },
    apply: (record) => {
      let outcome: TransformOutcome = { kind: 'kept', record };
      for (const transform of transforms) {
        outcome = transform.apply(outcome.record);
        if (outcome.kind !== 'kept') return outcome;
      }
      return outcome;
    },
  };
}

/** Applies a transform to some keys only, and leaves the others as they are. */
export function onlyFor(keys: string, matches: (key: Key) => boolean, transform: Transform): Transform {
  return {
    name: `${transform.name} (${keys})`,
    // Chosen by key, and keys stay as they are: the way back chooses the same ones.
    get inverse() {
      const { inverse } = transform;
      return inverse === null ? null : onlyFor(keys, matches, inverse);
    },
    apply: (record) => (matches(record.key) ? transform.apply(record) : { kind: 'kept', record }),
  };
}

/** A transform that changes nothing: the inverse of one that only leaves records out. */
export const identity: Transform = {
  name: 'as it is',
  get inverse() {
    return identity;
  },
  apply: (record) => ({ kind: 'kept', record }),
};
