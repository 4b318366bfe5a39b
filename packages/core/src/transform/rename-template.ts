/**
 * Renames keys by a template of path segments: `/{env}/{service}/{rest...}` to `/{service}/{env}/{rest}`. A key that has
 * the shape of the first becomes the second, field by field; the others stay as they are.
 *
 * A segment is what stands between slashes. `{name}` is a segment, or a part of one (`v{n}`), that is not empty;
 * `{name...}`, once and as a whole segment, is any number of segments, the slashes between them included. So a key fits
 * in one way or in none: nothing is searched for, and no template takes longer than its key is long.
 *
 * The way back is the same with both templates changed, and exact, when the second uses each field once and says where
 * each ends. A key that was left as it is and has the shape of the second is one-way: it would be taken for a renamed one.
 * Bytes that are no UTF-8 are as good as any others.
 */
import { keyFromText, type Key } from '../model/key.ts';
import type { Transform, TransformOutcome } from './transform.ts';

interface Segment {
  readonly before: string;
  /** Null: a segment that stands as it is, in `before`. */
  readonly field: string | null;
  readonly after: string;
}

interface Template {
  readonly text: string;
  /** Those before the field that takes several, and those behind it. */
  readonly head: readonly Segment[];
  readonly rest: string | null;
  readonly tail: readonly Segment[];
}

type Fields = ReadonlyMap<string, string>;

export type CompiledTemplate =
  | { readonly ok: true; readonly from: Template; readonly to: Template; readonly exact: boolean }
  | { readonly ok: false; readonly part: 'template' | 'to'; readonly why: string };

/** Both templates, checked: for whoever reads a configuration, and for the rename itself. */
export function compileTemplates(template: string, to: string): CompiledTemplate {
  const from = parse(template);
  if (typeof from === 'string') return { ok: false, part: 'template', why: from };
  const names = fieldsOf(from);
  const twice = names.find((name, at) => names.indexOf(name) !== at);
  if (twice !== undefined) return { ok: false, part: 'template', why: `the field {${twice}} stands twice` };
  const target = parse(to, from.rest);
  if (typeof target === 'string') return { ok: false, part: 'to', why: target };
  if (target.rest !== null && target.rest !== from.rest) {
    return { ok: false, part: 'to', why: `there is no field {${target.rest}...} in the template` };
  }
  const used = fieldsOf(target);
  const unknown = used.find((name) => !names.includes(name));
  if (unknown !== undefined) return { ok: false, part: 'to', why: `there is no field {${unknown}} in the template` };
  const exact = used.length === names.length && new Set(used).size === names.length;
  return { ok: true, from, to: target, exact };
}

/** @throws {RangeError} for what `compileTemplates` refuses */
export function renameTemplate(template: string, to: string): Transform {
  const compiled = compileTemplates(template, to);
  if (!compiled.ok) throw new RangeError(`${template} to ${to}: ${compiled.why}`);
  return rename(compiled.from, compiled.to, compiled.exact);
}

function rename(from: Template, to: Template, exact: boolean): Transform {
  return {
    name: `rename ${from.text} to ${to.text}`,
    get inverse() {
      return exact ? rename(to, from, exact) : null;
    },
    reprefix: () => null,
    apply: (record): TransformOutcome => {
      const fields = match(from, record.key);
      if (fields !== null) return { kind: 'kept', record: { ...record, key: fill(to, fields) } };
      return exact && match(to, record.key) !== null
        ? { kind: 'kept', record, oneWay: true }
        : { kind: 'kept', record };
    },
  };
}

/** @param rest the field that stands for several segments although it is written without dots */
function parse(text: string, rest: string | null = null): Template | string {
  const written = keyFromText(text).split('/');
  const isRest = (segment: string): boolean => restName(segment) !== null || (rest !== null && segment === `{${rest}}`);
  const at = written.findIndex(isRest);
  if (at !== written.findLastIndex(isRest)) return 'a field for several segments stands once';
  const [head, tail] = at < 0 ? [written, []] : [written.slice(0, at), written.slice(at + 1)];
  const segments = [...head, ...tail].map(parseSegment);
  const wrong = segments.find((segment) => typeof segment === 'string');
  if (wrong !== undefined) return wrong;
  const parsed = segments as readonly Segment[];
  if (rest !== null && parsed.some(({ field }) => field === rest)) {
    return `{${rest}} stands for several segments, so it is a whole segment`;
  }
  const name = at < 0 ? null : (restName(written[at] as string) ?? rest);
  return { text, head: parsed.slice(0, head.length), rest: name, tail: parsed.slice(head.length) };
}

const restName = (segment: string): string | null => /^\{([A-Za-z_]\w*)\.\.\.\}$/.exec(segment)?.[1] ?? null;

function parseSegment(segment: string): Segment | string {
  const parts = segment.split(/\{([A-Za-z_]\w*)\}/);
  const literal = parts.filter((_, i) => i % 2 === 0).join('');
  if (/[{}]/.test(literal)) return 'a field is {name}, or {name...} as a whole segment';
  if (parts.length > 3) return `a segment has one field, and ${segment} has more: where each ends could not be told`;
  const [before = '', field = null, after = ''] = parts;
  return { before, field, after };
}

function fieldsOf({ head, rest, tail }: Template): readonly string[] {
  const named = [...head, ...tail].flatMap(({ field }) => field ?? []);
  return rest === null ? named : [...named, rest];
}

function match({ head, rest, tail }: Template, key: Key): Fields | null {
  const segments = key.split('/');
  const fixed = head.length + tail.length;
  if (rest === null ? segments.length !== fixed : segments.length <= fixed) return null;
  const fields = new Map<string, string>();
  const behind = segments.length - tail.length;
  const fits = (template: readonly Segment[], from: number): boolean =>
    template.every((segment, i) => matchSegment(segment, segments[from + i] as string, fields));
  if (!fits(head, 0) || !fits(tail, behind)) return null;
  if (rest !== null) fields.set(rest, segments.slice(head.length, behind).join('/'));
  return fields;
}

function matchSegment({ before, field, after }: Segment, segment: string, fields: Map<string, string>): boolean {
  if (field === null) return segment === before;
  const length = segment.length - before.length - after.length;
  if (length < 1 || !segment.startsWith(before) || !segment.endsWith(after)) return false;
  fields.set(field, segment.slice(before.length, before.length + length));
  return true;
}

function fill({ head, rest, tail }: Template, fields: Fields): Key {
  const filled = (segments: readonly Segment[]): readonly string[] =>
    segments.map(({ before, field, after }) => before + (field === null ? '' : (fields.get(field) ?? '')) + after);
  const middle = rest === null ? [] : [fields.get(rest) ?? ''];
  return [...filled(head), ...middle, ...filled(tail)].join('/') as Key;
}
