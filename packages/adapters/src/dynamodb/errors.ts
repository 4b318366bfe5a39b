/** What DynamoDB and its SDK say (aws/failures.ts), as a store's codes. Failed conditions are outcomes and never come here. */
import { KeyferryError } from '@keyferry/core';
import { awsCauseOf, awsDetailOf, awsFailureOf, type AwsFailure } from '../aws/failures.ts';

const codes = {
  throttled: 'store.throttled',
  // Another transaction was at work on one of the items: nothing was done, and soon it can be.
  conflict: 'store.throttled',
  denied: 'store.permission-denied',
  unreachable: 'store.unreachable',
  missing: 'store.table-missing',
  unusable: 'store.request-refused',
} as const satisfies Record<AwsFailure, string>;

/** An error that is none of DynamoDB's or the network's comes back as it is: a mistake of ours, or one with its code. */
export function toStoreError(store: string, error: unknown): unknown {
  if (!(error instanceof Error) || error instanceof KeyferryError) return error;
  const failure = awsFailureOf(error);
  if (failure === null) return error;
  return new KeyferryError(codes[failure], { store, detail: awsDetailOf(error) }, { cause: awsCauseOf(error) });
}
