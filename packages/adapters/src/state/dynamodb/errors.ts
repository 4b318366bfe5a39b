/**
 * What DynamoDB and its SDK say, as keyferry's codes. Rules are tried from the top; each names where its words come from.
 * Failed conditions are outcomes and not failures; they never come here (connection.ts).
 */
import { KeyferryError } from '@keyferry/core';
import { textOf } from '../../sqlite/errors.ts';

export interface StateTable {
  readonly table: string;
  readonly region: string;
}

/** For people: where the state is. */
export const whereOf = ({ table, region }: StateTable): string => `DynamoDB table ${table} in ${region}`;

type PlainCode = 'state.throttled' | 'state.unreachable' | 'state.denied' | 'state.unusable' | 'state.busy';

const rules: readonly (readonly [names: RegExp, code: PlainCode])[] = [
  // Amazon DynamoDB developer guide, "Error handling": all four are to be repeated later.
  [/^(ProvisionedThroughputExceeded|Throttling|RequestLimitExceeded|ThrottlingError)/, 'state.throttled'],
  // Likewise: another transaction is at work on one of the items.
  [/^Transaction(Conflict|InProgress)/, 'state.busy'],
  // Likewise, 400: no permission, no such key, a token that ran out; and the SDK when it finds no credentials at all.
  [
    /^(AccessDenied|UnrecognizedClient|InvalidSignature|IncompleteSignature|MissingAuthenticationToken|ExpiredToken|InvalidClientTokenId|InvalidAccessKeyId|CredentialsProvider|TokenProvider|OptInRequired)/,
    'state.denied',
  ],
  // Likewise, 500 and 503. Then what @smithy/node-http-handler and Node's sockets and resolver fail with.
  [/^(InternalServer|InternalFailure|ServiceUnavailable|TimeoutError|RequestTimeout|AbortError)/, 'state.unreachable'],
  [/^(ECONN|EAI_|ENOTFOUND|ENETUNREACH|EHOSTUNREACH|ETIMEDOUT|EPIPE|ENETDOWN|EADDRNOTAVAIL)/, 'state.unreachable'],
  // DynamoDB: wrong keys for this table, too large a request, a key of KMS that is gone, a limit of the account.
  [/^(Validation|Serialization|KMS|LimitExceeded|ItemCollection|ResourceInUse|Transaction)/, 'state.unusable'],
];

/** An error that is none of DynamoDB's or the network's comes back as it is: a mistake of ours, or one with its code. */
export function toStateError(table: StateTable, error: unknown): unknown {
  if (!(error instanceof Error) || error instanceof KeyferryError) return error;
  const where = whereOf(table);
  const names = namesOf(error);
  // A table that is being made or removed is not found either.
  if (names.some((name) => name.startsWith('ResourceNotFound'))) {
    return new KeyferryError('state.table-missing', { where }, { cause: error });
  }
  const code = names
    .map((name) => rules.find(([pattern]) => pattern.test(name))?.[1])
    .find((each) => each !== undefined);
  if (code !== undefined) return stateError(code, where, error);
  const status = statusOf(error);
  if (status === null) return error;
  return stateError(status >= 500 ? 'state.unreachable' : 'state.unusable', where, error);
}

function stateError(code: PlainCode, where: string, cause: Error): KeyferryError {
  return code === 'state.busy'
    ? new KeyferryError(code, { where }, { cause })
    : new KeyferryError(code, { where, detail: textOf(cause) }, { cause });
}

/** Of the error and of what it wraps: the socket's own code is often one level down, or among several tries. */
function namesOf(error: unknown): readonly string[] {
  if (!(error instanceof Error)) return [];
  const code = 'code' in error && typeof error.code === 'string' ? [error.code] : [];
  const inner = error instanceof AggregateError ? error.errors.flatMap(namesOf) : [];
  return [error.name, ...code, ...inner, ...namesOf(error.cause)];
}

function statusOf(error: Error): number | null {
  const { $metadata } = error as { readonly $metadata?: { readonly httpStatusCode?: number } };
  return $metadata?.httpStatusCode ?? null;
}
