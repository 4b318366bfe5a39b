/**
 * A transform that a user wrote: a pure, synchronous function. It is not trusted: what it answers is checked, what it
 * throws fails the record, and a promise is refused, since whatever it waits for would not be reproducible.
 */
import type { Moving, Transform, TransformOutcome } from './transform.ts';

/** What a user's function gets and may answer; null leaves the record out. */
export interface CustomRecord {
  /** Bytes as a string with one byte in each unit; plain ASCII reads as it is. */
  readonly key: string;
  readonly value: Uint8Array;
  readonly expiresAtMs: number | null;
}
export type CustomFunction = (record: CustomRecord) => CustomRecord | null;

export interface CustomModule {
  readonly transform: CustomFunction;
  readonly inverse?: CustomFunction | undefined;
  /** The module's word that it changes no key; checked for each record. Without it the scan is sorted anew. */
  readonly keepsKeys?: boolean | undefined;
}

export function customTransform(name: string, module: CustomModule): Transform {
  const keepsKeys = module.keepsKeys === true;
  return {
    name: `module ${name}`,
    changesKeys: !keepsKeys,
    get inverse() {
      const { transform, inverse } = module;
      return inverse === undefined
        ? null
        : customTransform(`${name} (inverse)`, { transform: inverse, inverse: transform, keepsKeys });
    },
    apply: (record) => {
      let answer: unknown;
      try {
        answer = module.transform({ ...record });
      } catch (error) {
        return failed(name, `threw ${error instanceof Error ? error.message : String(error)}`);
      }
      if (answer === null) return { kind: 'dropped', reason: 'rule.dropped' };
      if (answer instanceof Promise) return failed(name, 'answered with a promise; a transform is synchronous');
      if (!isMoving(answer)) return failed(name, 'did not answer with { key, value, expiresAtMs } or null');
      if (keepsKeys && answer.key !== record.key) return failed(name, 'changed a key although it says keepsKeys');
      return { kind: 'kept', record: answer };
    },
  };
}

function isMoving(answer: unknown): answer is Moving {
  if (typeof answer !== 'object' || answer === null) return false;
  const { key, value, expiresAtMs } = answer as Partial<Record<keyof Moving, unknown>>;
  const isKey = typeof key === 'string' && /^[\0-\xff]*$/.test(key);
  const isExpiry = expiresAtMs === null || (typeof expiresAtMs === 'number' && Number.isFinite(expiresAtMs));
  return isKey && value instanceof Uint8Array && isExpiry;
}

function failed(name: string, what: string): TransformOutcome {
  return { kind: 'failed', detail: `module ${name} ${what}` };
}
