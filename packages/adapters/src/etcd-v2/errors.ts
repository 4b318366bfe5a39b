/**
 * Turns what an etcd v2 endpoint answers besides 2xx into keyferry's codes.
 *
 * Sources: HTTP status and errorCode as in etcd's error package (error/error.go up to 3.3, etcdserver/api/v2error
 * since 3.4), checked on 3.3.25, 3.4.23 and 3.5.16. Whatever is not JSON does not come from the v2 API itself.
 */
import { KeyferryError } from '@keyferry/core';
import type { HttpAnswer } from '../http/answer.ts';

/** Bodies of error answers are a line; more than this is something else. */
const bodyBytesMax = 64 * 1024;
const quotedMax = 120;

interface V2Error {
  readonly errorCode: number;
  readonly message: string;
  readonly cause: string;
}

export type Refusal = { readonly kind: 'key-not-found' } | { readonly kind: 'failed'; readonly error: KeyferryError };

/** Reads the body of an answer that is not 200 and says what it means. */
export async function readRefusal(store: string, answer: HttpAnswer): Promise<Refusal> {
  const { errorCode, error } = await readErrorAnswer(store, answer);
  return errorCode === errorCodes.keyNotFound ? { kind: 'key-not-found' } : { kind: 'failed', error };
}

/** What a conditional write is answered where it did not happen, besides failures. */
export const errorCodes = {
  keyNotFound: 100,
  compareFailed: 101,
  notAFile: 102,
  notADirectory: 104,
  keyExists: 105,
  directoryNotEmpty: 108,
  eventIndexCleared: 401,
} as const;

/** The errorCode of an answer of the v2 API (null: it is none), and the failure that it is unless it was expected. */
export async function readErrorAnswer(
  store: string,
  answer: HttpAnswer,
): Promise<{ readonly errorCode: number | null; readonly error: KeyferryError }> {
  const body = (await answer.read(bodyBytesMax))?.toString('utf8') ?? '';
  const parsed = parseError(body);
  return { errorCode: parsed?.errorCode ?? null, error: failureOf(store, answer, body, parsed) };
}

function failureOf(store: string, answer: HttpAnswer, body: string, parsed: V2Error | null): KeyferryError {
  const { status, doing } = answer;
  const said =
    parsed === null ? quote(body) : `${parsed.message} (errorCode ${parsed.errorCode}) ${parsed.cause}`.trim();
  const detail = `${doing} was answered ${status}: ${said}`;
  if (parsed !== null) {
    switch (parsed.errorCode) {
      case 110: // EcodeUnauthorized, with HTTP 401: both for a wrong password and for a missing permission
        return new KeyferryError('store.auth-failed', { store, detail });
      case 300: // EcodeRaftInternal: "no leader", and requests that timed out on the way through raft
      case 301: // EcodeLeaderElect
        return new KeyferryError('store.no-leader', { store, detail });
      default:
        return new KeyferryError('store.request-refused', { store, detail });
    }
  }
  if (status === 401 || status === 407) return new KeyferryError('store.auth-failed', { store, detail });
  if (status === 403) return new KeyferryError('store.permission-denied', { store, detail });
  if (status === 404 && /^404 page not found\s*$/.test(body)) {
    // Go's default answer: the routes under /v2 do not exist.
    const off = `${doing}: its v2 API is off; start etcd with --enable-v2 (3.2 to 3.5; 3.6 has no v2 API)`;
    return new KeyferryError('store.unsupported', { store, detail: off });
  }
  if (status === 400 && body.includes('HTTP request to an HTTPS server')) {
    return new KeyferryError('store.tls-failed', {
      store,
      detail: `${doing}: it speaks TLS; write the endpoint as https`,
    });
  }
  // etcd's client handlers say this while they wait for a leader (etcdserver/api/etcdhttp/base.go).
  if (status === 503) return new KeyferryError('store.no-leader', { store, detail });
  return new KeyferryError('store.answer-unexpected', { store, detail });
}

/** For answers that came with 200 and still cannot be right. */
export function unexpected(store: string, { doing }: Pick<HttpAnswer, 'doing'>, what: string): KeyferryError {
  return new KeyferryError('store.answer-unexpected', { store, detail: `${doing}: ${what}` });
}

function parseError(body: string): V2Error | null {
  try {
    const json: unknown = JSON.parse(body);
    if (typeof json !== 'object' || json === null || !('errorCode' in json)) return null;
    const { errorCode, message, cause } = json as Partial<Record<keyof V2Error, unknown>>;
    return typeof errorCode === 'number' ? { errorCode, message: textOf(message), cause: textOf(cause) } : null;
  } catch {
    return null; // not JSON is an answer here: it names who is speaking
  }
}

const textOf = (value: unknown): string => (typeof value === 'string' ? value : '');

/** One line of a foreign answer, short and without control characters: it may be a page of HTML. */
function quote(body: string): string {
  const line = body.replace(/[\p{Cc}\s]+/gu, ' ').trim();
  if (line === '') return 'an empty body';
  return JSON.stringify(line.length > quotedMax ? `${line.slice(0, quotedMax)}…` : line);
}
