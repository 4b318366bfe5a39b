/**
 * Renames keys by a regular expression: a key that the pattern matches as a whole becomes what `to` says, the others
 * stay as they are. `to` may use `$1`, `$<name>`, `$&` and `$$`.
 *
 * - Anchored at both ends: `/v1/(.*)` does not match `/old/v1/x`. A match somewhere within would rename half a key.
 * - Text only: a key that is not UTF-8 matches no pattern.
 * - No way back: which keys a pattern made what they are cannot be told from them.
 * - Bounded: the engine of regular expressions tries again whatever failed, and some patterns make it try for ever. An
 *   unbounded repeat of a group that itself repeats or branches is refused, which leaves no exponential pattern of the
 *   usual form; a key longer than `keyTextMax` fails its record, which bounds the polynomial ones.
 */
import { keyFromText, keyToText } from '../model/key.ts';
import { countText } from '../model/count.ts';
import type { Transform, TransformOutcome } from './transform.ts';

/** In UTF-16 units. */
const keyTextMax = 1024;

export type CompiledPattern =
  | { readonly ok: true; readonly rename: (text: string) => string | null }
  /** What is wrong, as the end of a sentence, and with which of the two. */
  | { readonly ok: false; readonly part: 'pattern' | 'to'; readonly why: string };

/** The pattern and its replacement, checked: for whoever reads a configuration, and for the rename itself. */
export function compilePattern(pattern: string, to: string): CompiledPattern {
  let whole: RegExp;
  let groups: RegExpExecArray;
  try {
    whole = new RegExp(`^(?:${pattern})$`, 'su');
    // An empty branch always matches, so that the groups of the pattern can be counted.
    groups = new RegExp(`(?:${pattern})|`, 'su').exec('') as RegExpExecArray;
  } catch (error) {
    return { ok: false, part: 'pattern', why: reasonOf(error) };
  }
  if (repeatsRepeats(pattern)) {
    const why = 'it repeats a group that itself repeats or branches, which can take for ever on some keys';
    return { ok: false, part: 'pattern', why };
  }
  const parts = replacementParts(to);
  for (const part of parts) {
    if (typeof part === 'string') continue;
    const known = part.group in groups || (groups.groups !== undefined && part.group in groups.groups);
    if (!known) return { ok: false, part: 'to', why: `there is no group ${part.group} in the pattern` };
  }
  const stray = /\$(?!\d|<\w+>|&|\$)/.test(to.replaceAll('$$', ''));
  if (stray) return { ok: false, part: 'to', why: 'a dollar stands before a number, <name>, & or another dollar' };
  const rename = (text: string): string | null => {
    const match = whole.exec(text);
    if (match === null) return null;
    // A group that took no part in the match is empty.
    const valueOf = (group: string): string => (/^\d/.test(group) ? match[Number(group)] : match.groups?.[group]) ?? '';
    return parts.map((part) => (typeof part === 'string' ? part : valueOf(part.group))).join('');
  };
  return { ok: true, rename };
}

/** @throws {RangeError} for what `compilePattern` refuses */
export function renamePattern(pattern: string, to: string): Transform {
  const compiled = compilePattern(pattern, to);
  if (!compiled.ok) throw new RangeError(`${pattern} to ${to}: ${compiled.why}`);
  const name = `rename pattern ${pattern} to ${to}`;
  return {
    name,
    inverse: null,
    reprefix: () => null,
    apply: (record): TransformOutcome => {
      const text = keyToText(record.key);
      if (text === null) return { kind: 'kept', record };
      if (text.length > keyTextMax) {
        return { kind: 'failed', detail: `${name}: the key is longer than ${countText(keyTextMax)} characters` };
      }
      const renamed = compiled.rename(text);
      return { kind: 'kept', record: renamed === null ? record : { ...record, key: keyFromText(renamed) } };
    },
  };
}

type Part = string | { readonly group: string };

function replacementParts(to: string): readonly Part[] {
  return to.split(/(\$\d\d?|\$<\w+>|\$&|\$\$)/).map((part) => {
    if (part === '$$') return '$';
    if (part === '$&') return { group: '0' };
    if (/^\$\d/.test(part)) return { group: String(Number(part.slice(1))) };
    return /^\$<\w+>$/.test(part) ? { group: part.slice(2, -1) } : part;
  });
}

const reasonOf = (error: unknown): string =>
  error instanceof Error ? error.message.replace(/^Invalid regular expression: (\/.*\/\w*: )?/, '') : String(error);

/** Escapes, classes, openings with their kind, closings and bars with the repeat that follows: all that is looked at. */
const tokens = /\\.|\[(?:\\.|[^\]\\])*\]|\(\?(?:<?[=!]|:|<\w+>|[a-z-]*:)|\(|\)|\||[*+]|\{\d+,\d*\}/gsu;

/** Is there a group under an unbounded repeat that holds an unbounded repeat, or branches? */
function repeatsRepeats(pattern: string): boolean {
  const open: boolean[] = [];
  let closed: { readonly at: number; readonly risky: boolean } | null = null;
  for (const { 0: token, index } of pattern.matchAll(tokens)) {
    if (token.startsWith('(')) open.push(false);
    else if (token === ')') closed = { at: index + 1, risky: open.pop() ?? false };
    else if (token === '|' || isUnbounded(token)) {
      if (token !== '|' && closed?.at === index && closed.risky) return true;
      if (open.length > 0) open[open.length - 1] = true;
      continue;
    }
    // What is risky within a group is so within those around it.
    if (token === ')' && closed?.risky === true && open.length > 0) open[open.length - 1] = true;
  }
  return false;
}

/** `{2,}` and `{1,1000}` alike: a bound that is meant to be one is a single number. */
const isUnbounded = (token: string): boolean => token === '*' || token === '+' || token.startsWith('{');
