/**
 * What AWS services and their SDK say, as a few kinds of failure, for whoever turns them into codes: the state in
 * DynamoDB, and DynamoDB as a store. Rules are tried from the top; each names where its words come from.
 *
 * Details are for people and hold no credentials: of a message only its first line, because a refused signature is
 * explained in the further ones with the request that was signed, session token included.
 */

/**
 * throttled: more than may be taken now. conflict: another transaction is at work on the same item. denied: credentials
 * or permissions. unreachable: network, time or the service itself. missing: no such table. unusable: this request never.
 */
export type AwsFailure = 'throttled' | 'conflict' | 'denied' | 'unreachable' | 'missing' | 'unusable';

const rules: readonly (readonly [names: RegExp, failure: AwsFailure])[] = [
  // A table that is being made or removed is not found either.
  [/^ResourceNotFound/, 'missing'],
  // Amazon DynamoDB developer guide, "Error handling": all four are to be repeated later.
  [/^(ProvisionedThroughputExceeded|Throttling|RequestLimitExceeded|ThrottlingError|RequestThrottled)/, 'throttled'],
  // Likewise: another transaction is at work on one of the items.
  [/^Transaction(Conflict|InProgress)/, 'conflict'],
  // Likewise, 400: no permission, no such key, a token that ran out; and the SDK when it finds no credentials at all.
  [
    /^(AccessDenied|UnrecognizedClient|InvalidSignature|IncompleteSignature|MissingAuthenticationToken|ExpiredToken|InvalidClientTokenId|InvalidAccessKeyId|CredentialsProvider|TokenProvider|OptInRequired)/,
    'denied',
  ],
  // Likewise, 500 and 503. Then what @smithy/node-http-handler and Node's sockets and resolver fail with.
  [/^(InternalServer|InternalFailure|ServiceUnavailable|TimeoutError|RequestTimeout|AbortError)/, 'unreachable'],
  [/^(ECONN|EAI_|ENOTFOUND|ENETUNREACH|EHOSTUNREACH|ETIMEDOUT|EPIPE|ENETDOWN|EADDRNOTAVAIL)/, 'unreachable'],
  // DynamoDB: wrong keys for this table, too large a request, a key of KMS that is gone, a limit of the account.
  [/^(Validation|Serialization|KMS|LimitExceeded|ItemCollection|ResourceInUse|Transaction)/, 'unusable'],
];

/** Null: none of the service's or the network's, but a mistake of ours. */
export function awsFailureOf(error: Error): AwsFailure | null {
  for (const name of namesOf(error)) {
    const failure = failureNamed(name);
    if (failure !== null) return failure;
  }
  const { $metadata } = error as { readonly $metadata?: { readonly httpStatusCode?: number } };
  const status = $metadata?.httpStatusCode;
  if (status === undefined) return null;
  return status >= 500 ? 'unreachable' : 'unusable';
}

/** By the name alone: that of an error, or of one write's reason within a transaction. */
export function failureNamed(name: string): AwsFailure | null {
  return rules.find(([pattern]) => pattern.test(name))?.[1] ?? null;
}

/** The first line of what it says, or its name when it says nothing. */
export function awsDetailOf(error: Error): string {
  const [line = ''] = error.message.trim().split(/[\r\n]/, 1);
  return line === '' ? error.name : line;
}

/** The error to keep as the cause: without the further lines, which a stack trace would print. */
export function awsCauseOf(error: Error): Error {
  const detail = awsDetailOf(error);
  if (error.message.trim() === detail) return error;
  const { name } = error;
  return Object.assign(new Error(detail), { name, stack: `${name}: ${detail}` });
}

/** Of the error and of what it wraps: the socket's own code is often one level down, or among several tries. */
function namesOf(error: unknown): readonly string[] {
  if (!(error instanceof Error)) return [];
  const code = 'code' in error && typeof error.code === 'string' ? [error.code] : [];
  const inner = error instanceof AggregateError ? error.errors.flatMap(namesOf) : [];
  return [error.name, ...code, ...inner, ...namesOf(error.cause)];
}
