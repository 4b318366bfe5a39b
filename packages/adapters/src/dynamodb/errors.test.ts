/** Goal: each kind of failure has the code, and so the retry, that it deserves, and says nothing that was signed. */
import { KeyferryError } from '@keyferry/core';
import { expect, it } from 'vitest';
import { toStoreError } from './errors.ts';

const named = (name: string, message = `the words of ${name}`): Error => Object.assign(new Error(message), { name });

it.each([
  ['ProvisionedThroughputExceededException', 'store.throttled', 'backoff'],
  ['TransactionConflict', 'store.throttled', 'backoff'],
  ['InternalServerError', 'store.unreachable', 'backoff'],
  ['TimeoutError', 'store.unreachable', 'backoff'],
  ['AccessDeniedException', 'store.permission-denied', 'never'],
  ['CredentialsProviderError', 'store.permission-denied', 'never'],
  ['ResourceNotFoundException', 'store.table-missing', 'never'],
  ['ValidationException', 'store.request-refused', 'never'],
])('tells %s as %s', (name, code, retry) => {
  expect(toStoreError('flags', named(name))).toMatchObject({ code, retry, details: { store: 'flags' } });
});

it('keeps only the first line of what it says', () => {
  const error = toStoreError('flags', named('InvalidSignatureException', 'it does not match\nx-amz-security-token:T'));
  expect(error).toMatchObject({ details: { detail: 'it does not match' }, cause: { message: 'it does not match' } });
});

it('leaves alone what is a mistake of ours, or has its code already', () => {
  const mistake = new TypeError('x is not a function');
  expect(toStoreError('flags', mistake)).toBe(mistake);
  const coded = new KeyferryError('store.throttled', { store: 'flags', detail: '' });
  expect(toStoreError('flags', coded)).toBe(coded);
});
