/** A record as a line of NDJSON: text where it is clean UTF-8, else base64. ndjson.ts reads it back. Pure. */
import { isUtf8 } from 'node:buffer';
import { keyToText, type StoredRecord } from '@keyferry/core';

export function recordLine({ key, value, expiresAtMs }: Omit<StoredRecord, 'version'>): string {
  const bytes = Buffer.from(value.buffer, value.byteOffset, value.byteLength);
  const line = {
    key: keyToText(key) ?? { base64: Buffer.from(key, 'latin1').toString('base64') },
    value: isUtf8(bytes) ? bytes.toString('utf8') : { base64: bytes.toString('base64') },
    ...(expiresAtMs !== null && { expiresAt: new Date(expiresAtMs).toISOString() }),
  };
  return `${JSON.stringify(line)}\n`;
}
