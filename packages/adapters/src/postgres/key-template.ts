/**
 * Key template: how the columns of a row make a key, `jm/{service}/{name}`, and which row a key means.
 *
 *     row (billing, tax/eu, 3)   ──jm/{service}/{name}──►   jm/billing/tax%2Feu   ──►   (billing, tax/eu)
 *
 * A segment is what stands between slashes; it may hold one column, with fixed text around it. In a segment `/` becomes
 * `%2F` and `%` becomes `%25`, so a segment ends where the next slash is, and two rows of different columns never get one
 * key. `{column...}` at the end is the rest of the key as it is, slashes included: it needs no escape to be unambiguous.
 * A key in which anything else is escaped, or in small letters, is no key of the template: each row has one key.
 *
 * Pure. What a column's text is, is types.ts; SQL that makes the same key of a row is select.ts.
 */
import { keyFromText, keyToText, type Key } from '@keyferry/core';

export type TemplatePart =
  { readonly kind: 'text'; readonly text: string } | { readonly kind: 'segment' | 'rest'; readonly column: string };

export interface KeyTemplate {
  readonly text: string;
  readonly parts: readonly TemplatePart[];
  /** In the order in which they stand; each once. */
  readonly columns: readonly string[];
  /** What every key begins with. */
  readonly prefix: Key;
}

export type CompiledKeyTemplate =
  { readonly ok: true; readonly template: KeyTemplate } | { readonly ok: false; readonly why: string };

const field = /\{([^{}]*?)(\.\.\.)?\}/g;

export function compileKeyTemplate(text: string): CompiledKeyTemplate {
  const parts: TemplatePart[] = [];
  const columns: string[] = [];
  let at = 0;
  for (const match of text.matchAll(field)) {
    const [whole, column = '', rest] = match;
    if (column === '') return wrong('a field has no name');
    if (columns.includes(column)) return wrong(`the column {${column}} stands twice`);
    if (match.index > at) parts.push({ kind: 'text', text: text.slice(at, match.index) });
    else if (columns.length > 0)
      return wrong(`nothing tells where {${columns.at(-1) ?? ''}} ends and {${column}} begins`);
    at = match.index + whole.length;
    if (rest !== undefined && at < text.length) return wrong(`{${column}...} takes the rest, so it stands last`);
    parts.push({ kind: rest === undefined ? 'segment' : 'rest', column });
    columns.push(column);
  }
  if (columns.length === 0) return wrong('it names no column: {column}');
  if (at < text.length) parts.push({ kind: 'text', text: text.slice(at) });
  for (const { text: fixed } of parts.filter((part) => part.kind === 'text')) {
    if (/[{}]/.test(fixed)) return wrong('a brace without its other half');
  }
  const crowded = text.split('/').find((segment) => [...segment.matchAll(field)].length > 1);
  if (crowded !== undefined) return wrong(`two columns in one segment, ${crowded}: nothing would tell them apart`);
  const [first] = parts;
  return {
    ok: true,
    template: { text, parts, columns, prefix: keyFromText(first?.kind === 'text' ? first.text : '') },
  };
}

/** The columns that a template names, whether it compiles or not. */
export function columnNamesIn(text: string): readonly string[] {
  return [...text.matchAll(field)].map(([, column = '']) => column);
}

/** What a template begins with before its first column, whether it compiles or not. */
export function fixedPrefixOf(text: string): string {
  return text.split('{')[0] ?? '';
}

const wrong = (why: string): CompiledKeyTemplate => ({ ok: false, why });

/** As bytes, one for each column of the template; null: the key is none of its. */
export function parseKey({ parts }: KeyTemplate, key: Key): readonly Key[] | null {
  const values: Key[] = [];
  let at = 0;
  for (const [nth, part] of parts.entries()) {
    if (part.kind === 'text') {
      const fixed = keyFromText(part.text);
      if (!key.startsWith(fixed, at)) return null;
      at += fixed.length;
    } else if (part.kind === 'rest') {
      values.push(key.slice(at) as Key);
      at = key.length;
    } else {
      const value = segmentAt(key, at, parts[nth + 1]);
      if (value === null) return null;
      values.push(value.text);
      at = value.end;
    }
  }
  return at === key.length ? values : null;
}

/** A segment ends at the next slash, or where its fixed end begins before that. */
function segmentAt(key: Key, start: number, next: TemplatePart | undefined): { text: Key; end: number } | null {
  const slash = key.indexOf('/', start);
  let end = slash === -1 ? key.length : slash;
  if (next?.kind === 'text') {
    const [behind = ''] = next.text.split('/');
    end -= keyFromText(behind).length;
    if (end < start) return null;
  }
  const text = unescapeSegment(key.slice(start, end) as Key);
  return text === null ? null : { text, end };
}

function unescapeSegment(escaped: Key): Key | null {
  if (!escaped.includes('%')) return escaped;
  if (/%(?!25|2F)/.test(escaped)) return null;
  return escaped.replaceAll('%2F', '/').replaceAll('%25', '%') as Key;
}

/** The column's text, where it has to be one; null: its bytes are no UTF-8, or hold the NUL that no text here may. */
export function columnText(bytes: Key): string | null {
  return bytes.includes('\0') ? null : keyToText(bytes);
}
