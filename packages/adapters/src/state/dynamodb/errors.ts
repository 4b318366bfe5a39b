/**
 * What DynamoDB and its SDK say (aws/failures.ts), as the state's codes. Failed conditions are outcomes and not failures;
 * they never come here (connection.ts).
 */
import { KeyferryError } from '@keyferry/core';
import { awsCauseOf, awsDetailOf, awsFailureOf } from '../../aws/failures.ts';

export interface StateTable {
  readonly table: string;
  readonly region: string;
}

/** For people: where the state is. */
export const whereOf = ({ table, region }: StateTable): string => `DynamoDB table ${table} in ${region}`;

/** An error that is none of DynamoDB's or the network's comes back as it is: a mistake of ours, or one with its code. */
export function toStateError(table: StateTable, error: unknown): unknown {
  if (!(error instanceof Error) || error instanceof KeyferryError) return error;
  const where = whereOf(table);
  const detail = awsDetailOf(error);
  const options = { cause: awsCauseOf(error) };
  const failure = awsFailureOf(error);
  switch (failure) {
    case null:
      return error;
    case 'missing':
      return new KeyferryError('state.table-missing', { where }, options);
    case 'conflict':
      return new KeyferryError('state.busy', { where }, options);
    case 'throttled':
    case 'denied':
    case 'unreachable':
    case 'unusable':
      return new KeyferryError(`state.${failure}`, { where, detail }, options);
  }
}
