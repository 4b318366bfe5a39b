/**
 * Maps what a connection can die of to keyferry's codes. Any HTTP status is an answer and none of this file's business.
 *
 * Names of the codes: Node's "Common system errors" and "OpenSSL errors" (nodejs.org/api/errors, /api/tls "X509
 * certificate error codes"); HPE_* come from its HTTP parser.
 */
import { KeyferryError } from '@keyferry/core';

/** X.509 verdicts have no common prefix; EPROTO is a TLS record that is none (a plain HTTP port). */
const tlsCode =
  /^(?:ERR_TLS_|ERR_SSL_|ERR_OSSL_|CERT_|UNABLE_TO_|SELF_SIGNED_|DEPTH_ZERO_|CRL_|INVALID_CA$|INVALID_PURPOSE$|HOSTNAME_MISMATCH$|PATH_LENGTH_EXCEEDED$|ERROR_IN_|EPROTO$)/;

export function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : '';
}

export function isTlsFailure(error: unknown): boolean {
  return tlsCode.test(codeOf(error));
}

/** @param doing such as `GET http://127.0.0.1:2379/version`; no secret is ever part of an endpoint or path. */
export function connectionError(store: string, doing: string, error: unknown): KeyferryError {
  if (error instanceof KeyferryError) return error;
  const code = codeOf(error);
  const detail = `${doing}: ${reasonOf(error)}`;
  const options = { cause: error };
  if (isTlsFailure(error)) return new KeyferryError('store.tls-failed', { store, detail }, options);
  if (code === 'ETIMEDOUT') return new KeyferryError('store.timeout', { store, detail }, options);
  if (code.startsWith('HPE_')) {
    return new KeyferryError('store.answer-unexpected', { store, detail: `${detail} (not HTTP)` }, options);
  }
  // ECONNREFUSED, ECONNRESET, ENOTFOUND, EHOSTUNREACH and whatever else a socket can die of.
  return new KeyferryError('store.unreachable', { store, detail }, options);
}

/** Several addresses of one name fail as an AggregateError, whose own message is empty. */
function reasonOf(error: unknown): string {
  if (error instanceof AggregateError) return error.errors.map(reasonOf).join('; ');
  return error instanceof Error ? error.message || codeOf(error) || error.name : String(error);
}
