/**
 * What etcd and gRPC say, as keyferry's codes. Rules are tried from the top; each names where its words come from.
 *
 * etcd3 throws away the status object and keeps its text, `14 UNAVAILABLE: etcdserver: no leader`, so that text is what
 * is read here. The server's own words are in etcd's api/v3rpc/rpctypes/error.go and stand unchanged from 3.3 to 3.5.
 */
import { KeyferryError } from '@keyferry/core';

/** A failed call as the wire told it. */
export interface Fault {
  /** gRPC status code; null: not a status at all. */
  readonly code: number | null;
  readonly text: string;
}

type PlainCode =
  | 'store.unreachable'
  | 'store.timeout'
  | 'store.no-leader'
  | 'store.auth-failed'
  | 'store.permission-denied'
  | 'store.tls-failed'
  | 'store.unsupported'
  | 'store.out-of-space'
  | 'store.request-refused'
  | 'store.answer-unexpected';

/** `'any'` code: the text alone decides; no text: the code alone. */
type Rule = readonly [code: number | 'any', text: RegExp | null, keyferry: PlainCode];

const rules: readonly Rule[] = [
  // Node's and OpenSSL's words for a handshake that failed, within gRPC's "No connection established" [measured on Node 24].
  [14, /ssl routines|alert|certificate|altnames|self.signed|EPROTO|wrong version/i, 'store.tls-failed'],
  // rpctypes: ErrGRPCAuthFailed, ErrGRPCUserEmpty (the server wants users, none was given), ErrGRPCInvalidAuthToken.
  [3, /authentication failed|user name is empty/, 'store.auth-failed'],
  // rpctypes: ErrGRPCAuthOldRevision: users were changed meanwhile; client.ts has already tried with a new token.
  [3, /revision of auth store is old/, 'store.unreachable'],
  // gRPC: UNAUTHENTICATED, PERMISSION_DENIED (rpctypes: ErrGRPCPermissionDenied).
  [16, null, 'store.auth-failed'],
  [7, null, 'store.permission-denied'],
  // rpctypes: ErrGRPCNoSpace. The alarm stays until somebody disarms it.
  [8, /space exceeded/, 'store.out-of-space'],
  // rpctypes: ErrGRPCRequestTooManyRequests: more than 5,000 entries wait to be applied (etcdserver/v3_server.go).
  [8, /too many requests/, 'store.timeout'],
  // grpc-go: "received message larger than max": above the request limit and its 512 KiB of overhead.
  [8, null, 'store.request-refused'],
  // rpctypes: ErrGRPCNoLeader, ErrGRPCLeaderChanged, ErrGRPCTimeoutDueToLeaderFail, ErrGRPCNotLeader.
  ['any', /no leader|leader changed|leader failure|not leader/, 'store.no-leader'],
  // rpctypes: ErrGRPCTimeout, ErrGRPCTimeoutDueToConnectionLost: the quorum did not answer.
  [14, /request timed out/, 'store.timeout'],
  // gRPC: DEADLINE_EXCEEDED, by the deadline that client.ts sets.
  [4, null, 'store.timeout'],
  // gRPC: UNAVAILABLE, CANCELLED; UNKNOWN is what etcd answers with for errors that it has no code for.
  [14, null, 'store.unreachable'],
  [1, null, 'store.unreachable'],
  [2, null, 'store.unreachable'],
  // gRPC: UNIMPLEMENTED, which a plain HTTP server's 404 becomes too.
  [12, null, 'store.unsupported'],
  // rpctypes: ErrGRPCFutureRev: a member of this cluster cannot be behind a revision that was read with its quorum.
  [11, /future revision/, 'store.answer-unexpected'],
  // gRPC: INTERNAL, DATA_LOSS (rpctypes: ErrGRPCCorrupt).
  [13, null, 'store.answer-unexpected'],
  [15, null, 'store.answer-unexpected'],
];

export function faultOf(error: unknown): Fault {
  const text = error instanceof Error ? error.message : String(error);
  const status = /^(\d{1,2}) [A-Z_]+: ([\s\S]*)$/.exec(text);
  return status === null ? { code: null, text } : { code: Number(status[1]), text: status[2] ?? '' };
}

/** @param position the revision that was asked for, where one was */
export function toKeyferryError(store: string, error: unknown, position?: string): unknown {
  const fault = faultOf(error);
  // Not a status: a mistake of ours, or an error that has its code already.
  if (fault.code === null) return error;
  // rpctypes: ErrGRPCCompacted.
  if (position !== undefined && fault.code === 11 && fault.text.includes('has been compacted')) {
    return new KeyferryError('store.position-compacted', { store, position }, { cause: error });
  }
  const rule = rules.find(
    ([code, text]) => (code === 'any' || code === fault.code) && (text?.test(fault.text) ?? true),
  );
  const detail = fault.text.replaceAll(/\s+/g, ' ').trim();
  return new KeyferryError(rule?.[2] ?? 'store.request-refused', { store, detail }, { cause: error });
}

/** Another member may still answer: this one is gone, slow, or cut off from the others. */
export function isMembersFault({ code, text }: Fault): boolean {
  return code === 14 || code === 4 || (code === 2 && !text.includes('etcdserver:'));
}

/** grpc-js: the request never left, so that even a write may go elsewhere. */
export function wasNeverSent({ code, text }: Fault): boolean {
  return code === 14 && /^(No connection established|Name resolution failed)/.test(text);
}

/** grpc-js and Node: the other side closed the connection, in its handshake or just behind it, and gave no reason. */
export function wasClosed({ code, text }: Fault): boolean {
  return code === 14 && /ECONNRESET|EPIPE|disconnected before secure TLS|Connection dropped/.test(text);
}

/**
 * The server does not know the token (it expired, the member restarted), or its users changed since. Nothing was done.
 * @param hadNone no token was sent, because the server had no users when last asked
 */
export function isStaleToken({ code, text }: Fault, hadNone: boolean): boolean {
  if (code === 16) return text.includes('auth token');
  return (
    code === 3 && (text.includes('revision of auth store is old') || (hadNone && text.includes('user name is empty')))
  );
}

/** rpctypes: ErrGRPCLeaseNotFound. A transaction with such a put was refused as a whole. */
export function isLeaseNotFound(error: unknown): boolean {
  return faultOf(error).text.includes('requested lease not found');
}

/** rpctypes: ErrGRPCRequestTooLarge, and grpc-go's own limit. */
export function isTooLarge(error: unknown): boolean {
  const { code, text } = faultOf(error);
  return (code === 3 && text.includes('request is too large')) || (code === 8 && text.includes('larger than max'));
}

/** rpctypes: ErrGRPCTooManyOps: `--max-txn-ops` is below its default. */
export function isTooManyOperations(error: unknown): boolean {
  return faultOf(error).text.includes('too many operations in txn');
}
