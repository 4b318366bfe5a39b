/**
 * One line of NDJSON as a record. Pure.
 *
 *     {"key":"/config/a","value":"1"}
 *     {"key":{"base64":"/wA="},"value":{"base64":""},"expiresAt":"2099-01-01T00:00:00Z","version":"17"}
 *
 * Strict: a field that is not known is an error, because a mistyped `expiresAt` that is passed over makes a record
 * that should have died live for ever.
 */
import { hash } from 'node:crypto';
import { keyFromBytes, keyFromText, type StoredRecord, type Version } from '@keyferry/core';

/** The record, or in a sentence's remainder what is wrong with the line. */
export type ParsedLine = { readonly record: StoredRecord } | { readonly wrong: string };

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
const known = new Set(['key', 'value', 'expiresAt', 'version']);
const rfc3339 = /^\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(?:\.\d+)?(?:[Zz]|[+-]\d\d:\d\d)$/;
const base64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;

export function parseRecordLine(line: Uint8Array): ParsedLine {
  const json = parseJson(line);
  if ('wrong' in json) return json;
  const { fields } = json;
  const unknown = Object.keys(fields).find((name) => !known.has(name));
  if (unknown !== undefined) return { wrong: `it has an unknown field "${unknown}"` };
  const key = bytesOf(fields['key']);
  if (key === null) return { wrong: '"key" is neither a text nor {"base64":"…"}' };
  const value = bytesOf(fields['value']);
  if (value === null) return { wrong: '"value" is neither a text nor {"base64":"…"}' };
  const { expiresAt = null, version } = fields;
  const expiresAtMs = instantOf(expiresAt);
  if (expiresAtMs === undefined) return { wrong: '"expiresAt" is not a time such as 2099-01-01T00:00:00Z' };
  if (version !== undefined && (typeof version !== 'string' || version === '')) {
    return { wrong: '"version" is not a text' };
  }
  return {
    record: {
      key: typeof key === 'string' ? keyFromText(key) : keyFromBytes(key),
      value: typeof value === 'string' ? Buffer.from(value, 'utf8') : value,
      version: (version ?? contentVersion(line)) as Version,
      expiresAtMs,
    },
  };
}

function parseJson(
  line: Uint8Array,
): { readonly fields: Readonly<Record<string, unknown>> } | { readonly wrong: string } {
  let text: string;
  try {
    text = decoder.decode(line);
  } catch {
    return { wrong: 'it holds bytes that are not UTF-8; write them as {"base64":"…"}' };
  }
  try {
    const json: unknown = JSON.parse(text);
    if (typeof json !== 'object' || json === null || Array.isArray(json)) return { wrong: 'it is not an object' };
    return { fields: json as Readonly<Record<string, unknown>> };
  } catch (error) {
    return { wrong: `it is not JSON: ${error instanceof Error ? error.message : String(error)}` };
  }
}

/** Text that UTF-8 can hold, bytes, or null. */
function bytesOf(json: unknown): string | Buffer | null {
  if (typeof json === 'string') return json.isWellFormed() ? json : null;
  if (typeof json !== 'object' || json === null || !('base64' in json)) return null;
  const text = json.base64;
  if (Object.keys(json).length !== 1 || typeof text !== 'string' || !base64.test(text)) return null;
  return Buffer.from(text, 'base64');
}

/** Undefined when it is no instant. */
function instantOf(json: unknown): number | null | undefined {
  if (json === null) return null;
  const atMs = typeof json === 'string' && rfc3339.test(json) ? Date.parse(json) : Number.NaN;
  return Number.isNaN(atMs) ? undefined : atMs;
}

/** A version for a line that names none: changes with the line. 96 bits, for comparing one key with itself. */
function contentVersion(line: Uint8Array): string {
  return hash('sha256', line, 'hex').slice(0, 24);
}
