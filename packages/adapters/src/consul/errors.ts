/**
 * Turns what a Consul agent answers besides 200 into keyferry's codes, and what it says of operations that it refused.
 *
 * Sources: status codes and words of agent/http.go, agent/kvs_endpoint.go, agent/txn_endpoint.go, agent/consul/rpc.go and
 * agent/consul/state/txn.go, checked on 1.8.7. An agent that passes a request on puts "rpc error …: " before the words of
 * the server that failed. Rules are tried from the top.
 */
import { escapeControls, KeyferryError } from '@keyferry/core';
import type { HttpAnswer } from '../http/answer.ts';

/** Bodies of error answers are a line; more than this is something else. */
const bodyBytesMax = 64 * 1024;
const quotedMax = 200;

type PlainCode =
  | 'store.unreachable'
  | 'store.timeout'
  | 'store.no-leader'
  | 'store.auth-failed'
  | 'store.permission-denied'
  | 'store.tls-failed'
  | 'store.unsupported'
  | 'store.request-refused'
  | 'store.answer-unexpected';

type Rule = readonly [status: number | 'any', text: RegExp | null, code: PlainCode];

const rules: readonly Rule[] = [
  // Go's net/http, when plain HTTP meets a TLS listener.
  [400, /HTTP request to an HTTPS server/, 'store.tls-failed'],
  // agent/http_oss.go: parameters of the Enterprise edition.
  [400, /Enterprise feature/i, 'store.unsupported'],
  // acl.ErrNotFound: the secret names no token. Before "permission denied": both come with 403.
  ['any', /ACL not found|ACL token not found/i, 'store.auth-failed'],
  ['any', /permission denied/i, 'store.permission-denied'],
  [401, null, 'store.auth-failed'],
  [403, null, 'store.permission-denied'],
  // structs.ErrNoLeader, raft.ErrNotLeader, raft.ErrLeadershipLost, ErrLeadershipTransferInProgress, structs.ErrNotReadyForConsistentReads.
  [
    'any',
    /no cluster leader|not the leader|leadership (lost|transfer)|not ready to serve consistent/i,
    'store.no-leader',
  ],
  // structs.ErrRPCRateExceeded, and the limit on connections of one client (http_max_conns_per_client).
  [429, null, 'store.timeout'],
  ['any', /rate limit exceeded|timed? ?out|deadline exceeded/i, 'store.timeout'],
  // yamux and net: the agent cannot reach the server that it passes requests on to.
  [500, /rpc error (getting client|making call)/, 'store.unreachable'],
  [502, null, 'store.unreachable'],
  [503, null, 'store.no-leader'],
  [504, null, 'store.timeout'],
  [413, null, 'store.request-refused'],
  [400, null, 'store.request-refused'],
  [500, null, 'store.request-refused'],
];

/** Reads the body of an answer that is no success and says what it means. */
export async function readFailure(store: string, answer: HttpAnswer): Promise<KeyferryError> {
  const body = (await answer.read(bodyBytesMax))?.toString('utf8') ?? '';
  return failureOf(store, answer, body);
}

export function failureOf(
  store: string,
  { status, doing }: Pick<HttpAnswer, 'status' | 'doing'>,
  body: string,
): KeyferryError {
  const rule = rules.find(([wanted, text]) => (wanted === 'any' || wanted === status) && (text?.test(body) ?? true));
  const code = rule?.[2] ?? 'store.answer-unexpected';
  const lacking = code === 'store.permission-denied' ? ruleForRequest(doing) : null;
  const detail = `${doing} was answered ${status}: ${quote(body)}`;
  return new KeyferryError(code, { store, detail: lacking === null ? detail : `${detail}; ${takes(lacking)}` });
}

/** What a policy must say: Consul 1.8 names neither rule nor key, and later ones no rule in a policy's own words. */
const takes = (rule: string): string => `it takes ${rule} in a policy of the token`;

const keyRule = (key: string, policy: 'read' | 'write'): string =>
  `key_prefix ${JSON.stringify(escapeControls(key))} { policy = "${policy}" }`;

function ruleForRequest(doing: string): string | null {
  if (doing.includes('/v1/session/')) return 'session_prefix "" { policy = "write" } for the lock';
  const [, method, path = ''] = /^(\S+) \S+?\/v1\/kv\/([^?]*)/.exec(doing) ?? [];
  if (method === undefined) return null;
  // A position is read at a key that is not there, below what the token is to read.
  const key = decodeURIComponent(path).replace(/keyferry-never-there(-\d+)?$/, '');
  return keyRule(key, method === 'GET' ? 'read' : 'write');
}

/** For answers that came with 200 and still cannot be right. */
export function unexpected(store: string, { doing }: Pick<HttpAnswer, 'doing'>, what: string): KeyferryError {
  return new KeyferryError('store.answer-unexpected', { store, detail: `${doing}: ${what}` });
}

/** agent/consul/state/kvs.go and txn.go: the words for a condition that does not hold. */
const conditions = /exists$|index is stale$|doesn't exist$|^failed index check /;

/** agent/consul/txn_endpoint.go: all others take write, a check that a key is absent among them. */
const readingVerbs: readonly string[] = ['get', 'get-tree', 'check-index'];

/**
 * Why an operation of a transaction was refused, when that was not its condition; null: that it was.
 * @param operation what was asked, as far as it is known which
 */
export function operationFailure(
  store: string,
  what: string,
  operation: { readonly verb: string; readonly key: string } | null,
): KeyferryError | null {
  if (conditions.test(what)) return null;
  const detail = `an operation of a transaction was refused: ${quote(what)}`;
  if (!/permission denied/i.test(what)) return new KeyferryError('store.request-refused', { store, detail });
  const rule = operation && keyRule(operation.key, readingVerbs.includes(operation.verb) ? 'read' : 'write');
  return new KeyferryError('store.permission-denied', {
    store,
    detail: rule === null ? detail : `${detail}; ${takes(rule)}, of that key or of a prefix of it`,
  });
}

/** One line of a foreign answer, short and without control characters: it may be a page of HTML. */
function quote(body: string): string {
  const line = escapeControls(body.replaceAll(/\s+/g, ' ').trim());
  if (line === '') return 'an empty body';
  return line.length > quotedMax ? `${line.slice(0, quotedMax)}…` : line;
}
