/**
 * A rule that a user wrote: a pure, synchronous function in a module of its own. It is not trusted.
 *
 * Each record is given to it twice, as a copy: two answers that differ show chance or a memory in it, and an answer that
 * is none of the three kinds, a promise among them, is refused. What it claims is held against each record: that keys
 * stay as they are (`keepsKeys`; without it the image is sorted first), and that `inverse` leads back. Whatever is wrong
 * fails the record, with the module named; nothing that the module made is passed on then.
 *
 * What it throws is told by name and place and not by message: messages quote values, and plans hold none.
 */
import { bytesEqual } from '../diff/compare-records.ts';
import { escapeControls, keyFromText, keyToText } from '../model/key.ts';
import { keepsKeys, type Moving, type Transform, type TransformOutcome } from './transform.ts';

/** A record as a rule of one's own sees it. */
export interface RuleRecord {
  /** As text, as it would be written in the target. Keys that are not UTF-8 never get to a module. */
  readonly key: string;
  /** A copy. */
  readonly value: Uint8Array;
  /** Milliseconds since 1970; null: it does not expire. */
  readonly expiresAtMs: number | null;
}

export type RuleAnswer =
  | { readonly kind: 'kept'; readonly record: RuleRecord }
  /** Left out, and counted in the plan. */
  | { readonly kind: 'dropped' }
  /** Blocks the plan, with the key named. `why` is shown and stored: no values in it. */
  | { readonly kind: 'failed'; readonly why: string };

/** Same record in, same answer out: no clock, no chance, no memory, nothing waited for. */
export type RuleFunction = (record: RuleRecord) => RuleAnswer;

/**
 * What a module of rules exports as its default.
 * @example
 * export default {
 *   transform: (record) => ({ kind: 'kept', record: { ...record, key: record.key.toLowerCase() } }),
 * } satisfies RuleModule;
 */
export interface RuleModule {
  readonly transform: RuleFunction;
  /** Undoes `transform` on every record that it keeps. Without it the plan says that there is no way back. */
  readonly inverse?: RuleFunction;
  /** It changes no key: the scan can be merged as it comes, without being sorted first. */
  readonly keepsKeys?: boolean;
}

/** What a default export lacks to be a `RuleModule`, as the end of a sentence; null: nothing. */
export function ruleModuleFault(exported: unknown): string | null {
  if (typeof exported !== 'object' || exported === null) return 'its default export is not { transform, … }';
  const { transform, inverse, keepsKeys: claim } = exported as Partial<Record<keyof RuleModule, unknown>>;
  if (typeof transform !== 'function') return 'its default export has no function transform';
  if (inverse !== undefined && typeof inverse !== 'function') return 'inverse is not a function';
  if (claim !== undefined && typeof claim !== 'boolean') return 'keepsKeys is not true or false';
  const known: readonly string[] = ['transform', 'inverse', 'keepsKeys'];
  const unknown = Object.keys(exported).find((key) => !known.includes(key));
  return unknown === undefined
    ? null
    : `its default export has ${unknown}, which is not transform, inverse or keepsKeys`;
}

/** @param name the module's path as the configuration has it */
export function customRule(name: string, module: RuleModule): Transform {
  const { transform, inverse } = module;
  const neverMoves = module.keepsKeys === true;
  return {
    name: `module ${name}`,
    get inverse() {
      if (inverse === undefined) return null;
      return customRule(name, { transform: inverse, inverse: transform, keepsKeys: neverMoves });
    },
    reprefix: neverMoves ? keepsKeys : () => null,
    apply: (record) => {
      const key = keyToText(record.key);
      if (key === null) return failed(name, 'cannot be given the key, which is not UTF-8');
      const given = { key, value: record.value, expiresAtMs: record.expiresAtMs };
      const answer = ask(name, transform, given);
      if (answer.kind !== 'kept') return answer;
      const kept = answer.record;
      if (neverMoves && kept.key !== key) return failed(name, `says keepsKeys and made another key of it`);
      if (inverse !== undefined) {
        const back = ask(name, inverse, kept);
        if (back.kind !== 'kept' || !sameRecord(back.record, given)) {
          return failed(name, 'has an inverse that does not lead back to the record');
        }
      }
      return { kind: 'kept', record: movingOf(kept, record) };
    },
  };
}

type Asked = Exclude<TransformOutcome, { kind: 'kept' }> | { readonly kind: 'kept'; readonly record: RuleRecord };

function ask(name: string, rule: RuleFunction, record: RuleRecord): Asked {
  const copy = (): RuleRecord => ({ ...record, value: record.value.slice() });
  let answers: readonly [unknown, unknown];
  try {
    answers = [rule(copy()), rule(copy())];
  } catch (error) {
    return failed(name, `threw ${describeThrown(error, name)}`);
  }
  const [first, second] = answers.map(readAnswer);
  if (first === undefined || first === null || second === undefined || second === null) {
    const waits = answers.some((answer) => typeof (answer as { then?: unknown } | null)?.then === 'function');
    return failed(
      name,
      waits ? 'answered with a promise; a rule waits for nothing' : 'did not answer with kept, dropped or failed',
    );
  }
  if (!sameAnswer(first, second)) return failed(name, 'answered otherwise when it was asked again');
  switch (first.kind) {
    case 'kept':
      return first;
    case 'dropped':
      return { kind: 'dropped', reason: 'rule.dropped' };
    case 'failed':
      return failed(name, `says: ${first.why}`);
  }
}

/** Null: it is none. */
function readAnswer(answer: unknown): RuleAnswer | null {
  if (typeof answer !== 'object' || answer === null) return null;
  const { kind, record, why } = answer as { kind?: unknown; record?: unknown; why?: unknown };
  if (kind === 'dropped') return { kind };
  if (kind === 'failed') return typeof why === 'string' ? { kind, why } : null;
  if (kind !== 'kept' || typeof record !== 'object' || record === null) return null;
  const { key, value, expiresAtMs } = record as Partial<Record<keyof RuleRecord, unknown>>;
  const isKey = typeof key === 'string' && key.isWellFormed();
  const isExpiry = expiresAtMs === null || (typeof expiresAtMs === 'number' && Number.isSafeInteger(expiresAtMs));
  return isKey && value instanceof Uint8Array && isExpiry ? { kind, record: { key, value, expiresAtMs } } : null;
}

function sameAnswer(a: RuleAnswer, b: RuleAnswer): boolean {
  if (a.kind === 'kept') return b.kind === 'kept' && sameRecord(a.record, b.record);
  return a.kind === b.kind && (a.kind !== 'failed' || b.kind !== 'failed' || a.why === b.why);
}

function sameRecord(a: RuleRecord, b: RuleRecord): boolean {
  return a.key === b.key && a.expiresAtMs === b.expiresAtMs && bytesEqual(a.value, b.value);
}

/** The key's own bytes where it stayed as it was: nothing to encode again. */
function movingOf({ key, value, expiresAtMs }: RuleRecord, before: Moving): Moving {
  const bytes = keyFromText(key);
  return { key: bytes === before.key ? before.key : bytes, value, expiresAtMs };
}

/** `SyntaxError at routes.ts:12`. */
function describeThrown(error: unknown, name: string): string {
  if (!(error instanceof Error)) return 'something that is no Error';
  const file = name.slice(name.lastIndexOf('/') + 1);
  const at = error.stack?.indexOf(`/${file}`) ?? -1;
  const line = at < 0 ? undefined : /^[^:]*:(\d+)/.exec(error.stack?.slice(at) ?? '')?.[1];
  return line === undefined ? error.name : `${error.name} at ${file}:${line}`;
}

function failed(name: string, what: string): Extract<TransformOutcome, { kind: 'failed' }> {
  return { kind: 'failed', detail: `module ${name} ${escapeControls(what)}` };
}
