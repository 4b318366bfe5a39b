/** One byte form for each JSON value (RFC 8785), so that equal plans have equal bytes and equal SHA-256. */
import canonicalize from 'canonicalize';
import { invariant } from '../errors/invariant.ts';

/** @param value plain JSON: no undefined, no function, no bigint. */
export function canonicalJson(value: unknown): string {
  const text = canonicalize(value);
  invariant(text !== undefined, 'a value without a JSON form was to be written');
  return text;
}
