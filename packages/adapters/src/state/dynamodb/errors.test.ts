/** Goal: each failure of DynamoDB and of the way to it gets the code, and so the retry, that it deserves. */
import { KeyferryError } from '@keyferry/core';
import { describe, expect, it } from 'vitest';
import { toStateError } from './errors.ts';

const table = { table: 'keyferry', region: 'eu-west-1' };

function named(name: string, more: object = {}): Error {
  return Object.assign(new Error(`the words of ${name}`), { name }, more);
}

describe('toStateError', () => {
  it.each([
    ['ProvisionedThroughputExceededException', 'state.throttled', 'backoff'],
    ['ThrottlingException', 'state.throttled', 'backoff'],
    ['RequestLimitExceeded', 'state.throttled', 'backoff'],
    ['TransactionConflictException', 'state.busy', 'backoff'],
    ['TransactionInProgressException', 'state.busy', 'backoff'],
    ['InternalServerError', 'state.unreachable', 'backoff'],
    ['ServiceUnavailable', 'state.unreachable', 'backoff'],
    ['TimeoutError', 'state.unreachable', 'backoff'],
    ['AccessDeniedException', 'state.denied', 'never'],
    ['UnrecognizedClientException', 'state.denied', 'never'],
    ['ExpiredTokenException', 'state.denied', 'never'],
    ['CredentialsProviderError', 'state.denied', 'never'],
    ['ResourceNotFoundException', 'state.table-missing', 'never'],
    ['ValidationException', 'state.unusable', 'never'],
    ['LimitExceededException', 'state.unusable', 'never'],
  ])('tells %s as %s', (name, code, retry) => {
    const cause = named(name);
    expect(toStateError(table, cause)).toMatchObject({ code, retry, cause, details: { where: expect.anything() } });
  });

  it.each([
    ['the socket', named('Error', { code: 'ECONNRESET' })],
    ['one level down', named('Error', { cause: named('Error', { code: 'ENOTFOUND' }) })],
    ['each address of a host', new AggregateError([named('Error', { code: 'ECONNREFUSED' })], 'all failed')],
    ['a proxy that answers for it', named('UnknownError', { $metadata: { httpStatusCode: 502 } })],
  ])('takes the word of %s for unreachable', (_, error) => {
    expect(toStateError(table, error)).toMatchObject({ code: 'state.unreachable' });
  });

  it('does not repeat an answer that it does not know', () => {
    const error = named('UnknownError', { $metadata: { httpStatusCode: 404 } });
    expect(toStateError(table, error)).toMatchObject({ code: 'state.unusable', retry: 'never' });
  });

  it('leaves alone what is a mistake of ours, or has its code already', () => {
    const mistake = new TypeError('x is not a function');
    expect(toStateError(table, mistake)).toBe(mistake);
    const coded = new KeyferryError('state.busy', { where: 'here' });
    expect(toStateError(table, coded)).toBe(coded);
  });
});
