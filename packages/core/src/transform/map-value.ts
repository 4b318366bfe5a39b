/**
 * Value maps: bytes in, bytes out, each with its inverse or none. A value that a map cannot read fails its record, which
 * blocks the plan with the key named; it is never passed on as it is, nor quoted: plans hold no values.
 */
import { gunzipSync, gzipSync } from 'fflate';
import { keepsKeys, type Transform, type TransformOutcome } from './transform.ts';

const encoder = new TextEncoder();
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

function mapValue(name: string, map: (value: Uint8Array) => Uint8Array, inverse: () => Transform | null): Transform {
  return {
    name,
    get inverse() {
      return inverse();
    },
    reprefix: keepsKeys,
    apply: (record): TransformOutcome => {
      try {
        return { kind: 'kept', record: { ...record, value: map(record.value) } };
      } catch (error) {
        return { kind: 'failed', detail: `${name}: ${error instanceof Error ? error.message : String(error)}` };
      }
    },
  };
}

export function encodeBase64(): Transform {
  return mapValue('value to base64', (value) => encoder.encode(btoa(latin1(value))), decodeBase64);
}

/** Only the form that `encodeBase64` writes (RFC 4648 with padding): another one would not come back as it was. */
export function decodeBase64(): Transform {
  return mapValue(
    'value from base64',
    (value) => {
      const text = decoder.decode(value);
      const bytes = atob(text);
      if (btoa(bytes) !== text) throw new RangeError('the value is not in canonical base64');
      return Uint8Array.from(bytes, (c) => c.charCodeAt(0));
    },
    encodeBase64,
  );
}

/** Same bytes in, same bytes out: no time stamp. */
export function gzip(): Transform {
  return mapValue('gzip value', (value) => gzipSync(value, { mtime: 0 }), gunzip);
}

/** No way back: other programs compress the same bytes differently. */
export function gunzip(): Transform {
  return mapValue(
    'gunzip value',
    (value) => gunzipSync(value),
    () => null,
  );
}

/** One edit of a JSON value. Paths are JSON pointers (RFC 6901). */
export type JsonEdit =
  | { readonly kind: 'set'; readonly path: string; readonly to: unknown }
  | { readonly kind: 'remove'; readonly path: string }
  | { readonly kind: 'move'; readonly path: string; readonly to: string };

/** Numbers keep their digits; spacing is lost, and so is what an edit overwrites: no way back. */
export function editJson(edits: readonly JsonEdit[]): Transform {
  const name = `edit JSON ${edits.map((edit) => `${edit.kind} ${edit.path}`).join(', ')}`;
  return mapValue(
    name,
    (value) => {
      let document = parseJson(value);
      for (const edit of edits) document = applyEdit(document, edit);
      return encoder.encode(JSON.stringify(document));
    },
    () => null,
  );
}

/** The runtime's own message quotes the text. */
function parseJson(value: Uint8Array): unknown {
  try {
    return JSON.parse(decoder.decode(value), keepDigits);
  } catch {
    throw new SyntaxError('the value is not JSON');
  }
}

/** As text, not as a double: 12345678901234567890 and 1.50 must come out as they went in. */
function keepDigits(_key: string, value: unknown, { source }: { readonly source?: string }): unknown {
  return typeof value === 'number' && source !== undefined ? JSON.rawJSON(source) : value;
}

function applyEdit(document: unknown, edit: JsonEdit): unknown {
  const path = pointer(edit.path);
  switch (edit.kind) {
    case 'set':
      return setAt(document, path, edit.to);
    case 'remove':
      return removeAt(document, path).document;
    case 'move': {
      const { document: without, removed } = removeAt(document, path);
      return removed === undefined ? without : setAt(without, pointer(edit.to), removed);
    }
  }
}

export function pointer(text: string): readonly string[] {
  if (text === '') return [];
  if (!text.startsWith('/')) throw new RangeError(`${text} is no JSON pointer: it must begin with /`);
  return text
    .slice(1)
    .split('/')
    .map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'));
}

type Container = Record<string, unknown> | unknown[];

function containerAt(document: unknown, path: readonly string[]): Container | null {
  let at: unknown = document;
  for (const part of path) {
    if (typeof at !== 'object' || at === null || !Object.hasOwn(at, part)) return null;
    at = (at as Record<string, unknown>)[part];
  }
  return typeof at === 'object' && at !== null && !JSON.isRawJSON(at) ? (at as Container) : null;
}

function setAt(document: unknown, path: readonly string[], to: unknown): unknown {
  const last = path.at(-1);
  if (last === undefined) return to;
  const container = containerAt(document, path.slice(0, -1));
  if (container === null) throw new RangeError(`there is nothing at /${path.slice(0, -1).join('/')} to set ${last} in`);
  if (!Array.isArray(container)) Object.defineProperty(container, last, { value: to, ...plain });
  else if (last === '-') container.push(to);
  else container[arrayIndex(container, last)] = to;
  return document;
}

function removeAt(document: unknown, path: readonly string[]): { document: unknown; removed: unknown } {
  const last = path.at(-1);
  const container = last === undefined ? null : containerAt(document, path.slice(0, -1));
  if (last === undefined || container === null || !Object.hasOwn(container, last))
    return { document, removed: undefined };
  if (Array.isArray(container)) return { document, removed: container.splice(arrayIndex(container, last), 1)[0] };
  const removed = container[last];
  Reflect.deleteProperty(container, last);
  return { document, removed };
}

/** Also for a member named `__proto__`, which an assignment would not set. */
const plain = { writable: true, enumerable: true, configurable: true } as const;

function arrayIndex(array: readonly unknown[], part: string): number {
  const index = /^(0|[1-9]\d*)$/.test(part) ? Number(part) : NaN;
  if (!(index < array.length)) throw new RangeError(`there is no element ${part} in an array of ${array.length}`);
  return index;
}

function latin1(bytes: Uint8Array): string {
  let text = '';
  for (let at = 0; at < bytes.length; at += 8192) text += String.fromCharCode(...bytes.subarray(at, at + 8192));
  return text;
}
