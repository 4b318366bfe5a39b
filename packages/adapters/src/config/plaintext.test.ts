/**
 * Goal: what stands in plain text where a secret would is kept out of whatever is shown, and nothing else is.
 * Method: fields of a configuration, as they are before any schema.
 */
import { expect, it } from 'vitest';
import { learnPlaintext } from './plaintext.ts';
import { Redactor } from './redactor.ts';

it('blots the secrets in a tokenUrl out, and leaves the rest of it to be read', () => {
  const redactor = new Redactor();
  const tokenUrl = 'https://me:hunter22@sso.example/realms/main/token?client_secret=hunter33&audience=registry';
  learnPlaintext({ stores: { old: { oidc: { tokenUrl } } } }, redactor);
  expect(redactor.redact(tokenUrl)).toBe(
    'https://me:[redacted]@sso.example/realms/main/token?client_secret=[redacted]&audience=registry',
  );
});

it('leaves it to be read where a socket is', () => {
  const redactor = new Redactor();
  learnPlaintext({ balancers: { lb: { socket: '/run/haproxy/admin.sock' } } }, redactor);
  expect(redactor.redact('/run/haproxy/admin.sock')).toBe('/run/haproxy/admin.sock');
});
