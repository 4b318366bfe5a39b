/**
 * A node of etcd v2 as `etcdctl migrate` hands it to a transformer: one JSON object, with the fields in this order, those
 * that are zero left out, and escaped as Go does.
 *
 * - `expiration` and `ttl` are those by which the record ends, also where a directory above it has them: etcdctl passes
 *   such a record on as one that never ends.
 * - Of directories neither indexes nor times are known here; `key` and `dir` stand for them.
 *
 * Source: etcd 3.4 etcdctl/ctlv3/command/migrate_command.go (writeKeys), etcdserver/api/v2store/node_extern.go; Go's
 * encoding/json of that time.
 */
import type { ProgramInput, ProgramRecord } from '@keyferry/core';
import { keyToText } from '@keyferry/core';

export const rootNode = '{"key":"/","dir":true}';

/** Null: the record is not text, and JSON has no form for it. */
export function nodeJson(input: ProgramInput, nowMs: number): string | null {
  const key = keyToText(input.sourceKey);
  if (key === null) return null;
  if (input.kind === 'directory') return `{"key":${goString(key)},"dir":true}`;
  const value = textOf(input.value);
  if (value === null) return null;
  return `{"key":${goString(key)},"value":${goString(value)}${expiryFields(input, nowMs)}${indexFields(input)}}`;
}

function expiryFields({ expiresAtMs }: ProgramRecord, nowMs: number): string {
  if (expiresAtMs === null) return '';
  const seconds = Math.ceil((expiresAtMs - nowMs) / 1000);
  const instant = new Date(expiresAtMs).toISOString().replace(/\.?0*Z$/, 'Z');
  return `,"expiration":"${instant}"${seconds === 0 ? '' : `,"ttl":${seconds}`}`;
}

function indexFields({ version, created }: ProgramRecord): string {
  return `,"modifiedIndex":${version}${created === null ? '' : `,"createdIndex":${created}`}`;
}

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

function textOf(bytes: Uint8Array): string | null {
  try {
    return decoder.decode(bytes);
  } catch {
    return null; // fatal decoding is the test
  }
}

/** Go writes these otherwise than JavaScript; what is read is the same. */
const escapedByGo = /[<>&\u2028\u2029]|\\[bf]/g;

function goString(text: string): string {
  return JSON.stringify(text).replace(escapedByGo, (found) => {
    const code = found === '\\b' ? 8 : found === '\\f' ? 12 : found.charCodeAt(0);
    return `\\u${code.toString(16).padStart(4, '0')}`;
  });
}
