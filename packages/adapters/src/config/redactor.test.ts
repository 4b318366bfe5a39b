/** Goal: a secret that was read is in no output, in whatever form outputs give it. Method: each form, redacted. */
import { describe, expect, it } from 'vitest';
import { redacted, Redactor } from './redactor.ts';

const knowing = (...secrets: string[]): Redactor => {
  const redactor = new Redactor();
  for (const secret of secrets) redactor.add(secret);
  return redactor;
};

describe('Redactor', () => {
  const secret = 'p"ss wörd/1';
  it.each([
    ['as it is', secret],
    ['in JSON', JSON.stringify(secret).slice(1, -1)],
    ['in a URL', encodeURIComponent(secret)],
    ['in base64', Buffer.from(secret).toString('base64')],
  ])('takes a secret out %s', (_form, shown) => {
    expect(knowing(secret).redact(`before ${shown} after`)).toMatch(/^before \[redacted\]=* after$/);
  });

  it('takes out every line of a private key and leaves its armour', () => {
    const pem =
      '-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0B\nAQEFAASCBKcwggSjAgEAAoIB\n-----END PRIVATE KEY-----\n';
    const clean = knowing(pem).redact(`line MIIEvQIBADANBgkqhkiG9w0B, armour -----BEGIN PRIVATE KEY-----`);
    expect(clean).toBe(`line ${redacted}, armour -----BEGIN PRIVATE KEY-----`);
    expect(knowing(pem).redact(`<${pem}>`)).toBe(`<${redacted}>`);
  });

  it('leaves nothing of a longer secret that begins like a shorter one', () => {
    expect(knowing('hunter', 'hunter22').redact('hunter22 hunter')).toBe(`${redacted} ${redacted}`);
  });

  it('leaves a text without secrets as it is, and secrets too short to hide', () => {
    expect(knowing('', ' ', 'abc').redact('abc 123')).toBe('abc 123');
  });
});
