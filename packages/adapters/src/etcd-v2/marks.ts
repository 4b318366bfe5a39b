/**
 * What keyferry wrote, as a v2 tree can tell: there is no transaction, so each batch has a mark of its own.
 *
 *     open    before the first put: a hash of each record that the batch is going to put
 *     closed  after the last one: the indexes that they got
 *
 * A closed mark is exact: an index belongs to one write, and a record that anybody changed, or deleted and made anew, has
 * another. An open mark is what a kill or a lost answer leaves. It vouches for a record whose key, content and kind of
 * expiry are what the batch meant to put, and that is younger than the mark; so an application that wrote the very same
 * record in that time is taken for keyferry, and nothing else is.
 */
import { createHash } from 'node:crypto';
import type { GuardedPut, StoredRecord } from '@keyferry/core';
import { IndexRanges } from './index-ranges.ts';

/** What a write did: made a record that was not there, or put one in the place of another. */
export type WriteKind = 'created' | 'replaced';

/** What several batches wrote, by what their marks say. */
export class MarkSet {
  readonly created = new IndexRanges();
  readonly replaced = new IndexRanges();
  private open: OpenMark[] = [];

  addOpen(mark: OpenMark): void {
    this.open.push(mark);
  }

  dropOpen(mark: OpenMark): void {
    this.open = this.open.filter((each) => each !== mark);
  }

  /** How this record got there, if a batch put it. */
  kindOf(record: Pick<StoredRecord, 'key' | 'value' | 'expiresAtMs'>, index: number): WriteKind | null {
    if (this.created.has(index)) return 'created';
    if (this.replaced.has(index)) return 'replaced';
    const younger = this.open.filter(({ index: since }) => since < index);
    if (younger.length === 0) return null;
    const hash = recordHash(record);
    return younger.map(({ hashes }) => hashes.get(hash)).find((kind) => kind !== undefined) ?? null;
  }

  /** @returns false when the text is no mark */
  addText(text: string, index: number): boolean {
    const parsed = parseMark(text);
    if (parsed === null) return false;
    if ('hashes' in parsed) this.open.push({ index, hashes: parsed.hashes });
    else {
      this.created.addAll(parsed.created);
      this.replaced.addAll(parsed.replaced);
    }
    return true;
  }
}

export interface OpenMark {
  /** Of the mark itself: what the batch puts is younger. */
  readonly index: number;
  readonly hashes: ReadonlyMap<string, WriteKind>;
}

/** 96 bits over key, value and whether it expires. */
export function recordHash({ key, value, expiresAtMs }: Pick<GuardedPut, 'key' | 'value' | 'expiresAtMs'>): string {
  const hash = createHash('sha256').update(`${key.length} ${expiresAtMs === null ? 'stays' : 'ends'} `);
  return hash.update(key, 'latin1').update(value).digest('base64url').slice(0, 16);
}

export function openMarkText(hashes: ReadonlyMap<string, WriteKind>): string {
  const of = (wanted: WriteKind) => [...hashes].filter(([, kind]) => kind === wanted).map(([hash]) => hash);
  return JSON.stringify({ open: { created: of('created'), replaced: of('replaced') } });
}

export function closedMarkText(created: IndexRanges, replaced: IndexRanges): string {
  return JSON.stringify({ created: created.toText(), replaced: replaced.toText() });
}

export type ParsedMark =
  | { readonly hashes: ReadonlyMap<string, WriteKind> }
  | { readonly created: IndexRanges; readonly replaced: IndexRanges };

/** Null: it is no mark. */
export function parseMark(text: string): ParsedMark | null {
  const { open, created, replaced } = parseFields(text);
  if (typeof open !== 'object' || open === null) return parseClosed(created, replaced);
  const hashes = new Map<string, WriteKind>();
  for (const kind of ['created', 'replaced'] as const) {
    const list: unknown = (open as Partial<Record<WriteKind, unknown>>)[kind];
    if (!Array.isArray(list)) return null;
    for (const hash of list) hashes.set(String(hash), kind);
  }
  return { hashes };
}

function parseClosed(createdText: unknown, replacedText: unknown): ParsedMark | null {
  if (typeof createdText !== 'string' || typeof replacedText !== 'string') return null;
  const created = IndexRanges.fromText(createdText);
  const replaced = IndexRanges.fromText(replacedText);
  return created === null || replaced === null ? null : { created, replaced };
}

function parseFields(text: string): Readonly<Record<string, unknown>> {
  try {
    const json: unknown = JSON.parse(text);
    return typeof json === 'object' && json !== null ? (json as Readonly<Record<string, unknown>>) : {};
  } catch {
    return {}; // not ours is an answer: whoever reads it names the key
  }
}
