/**
 * Transforms: what the rules of a migration do to a record on its way, one after another.
 *
 * Each is pure and sees what the one before made: the key as it would be written, the value, the expiry. Each says how
 * it is undone: law: inverse(forward(record)) = record for every record that it keeps and does not call `oneWay`. The
 * plan prints the way back from both. Each says too what it makes of all keys under a prefix, when that is one prefix in
 * place of another: then keys stay in order and ranges stay ranges, and the scan can be merged as it comes. Of any other
 * one the image is sorted first (image-rule.ts).
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
  /** oneWay: the inverse would not lead back to where this record came from. */
  | { readonly kind: 'kept'; readonly record: Moving; readonly oneWay?: true }
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
  /**
   * What takes the place of `prefix` in every key under it that is kept, the rest of each key staying as it is; null
   * when keys change in any other way, or nobody can tell.
   */
  readonly reprefix: (prefix: Key) => Key | null;
  readonly apply: (record: Moving) => TransformOutcome;
}

/** For `reprefix` of what changes no key. */
export const keepsKeys = (prefix: Key): Key => prefix;

/** Several transforms as one; none at all keeps every record as it is. */
export function compose(transforms: readonly Transform[]): Transform {
  const inverses = transforms.map(({ inverse }) => inverse).toReversed();
  return {
    name: transforms.map(({ name }) => name).join('; '),
    parts: transforms.map(({ name }) => name),
    get inverse() {
      return inverses.every((inverse) => inverse !== null) ? compose(inverses) : null;
    },
    reprefix: (prefix) => {
      let becomes: Key | null = prefix;
      for (const transform of transforms) becomes = becomes === null ? null : transform.reprefix(becomes);
      return becomes;
    },
    apply: (record) => {
      let moving = record;
      let oneWay = false;
      for (const transform of transforms) {
        const outcome = transform.apply(moving);
        if (outcome.kind !== 'kept') return outcome;
        moving = outcome.record;
        oneWay ||= outcome.oneWay === true;
      }
      return oneWay ? { kind: 'kept', record: moving, oneWay } : { kind: 'kept', record: moving };
    },
  };
}

/** Applies a transform that changes no key to some keys only, and leaves the other records as they are. */
export function onlyFor(keys: string, matches: (key: Key) => boolean, transform: Transform): Transform {
  return {
    name: `${transform.name} (${keys})`,
    // Chosen by key, and keys stay as they are: the way back chooses the same ones.
    get inverse() {
      const { inverse } = transform;
      return inverse === null ? null : onlyFor(keys, matches, inverse);
    },
    reprefix: keepsKeys,
    apply: (record) => (matches(record.key) ? transform.apply(record) : { kind: 'kept', record }),
  };
}

/** A transform that changes nothing: the inverse of one that only leaves records out. */
export const identity: Transform = {
  name: 'as it is',
  get inverse() {
    return identity;
  },
  reprefix: keepsKeys,
  apply: (record) => ({ kind: 'kept', record }),
};
