/**
 * Finds texts in a configuration that stand where a secret would: a password in full, a URL with one in it, the
 * content of a PEM file, also under a mistyped key. It refuses nothing, that is for the schema; it makes sure that what
 * is shown about the file holds none of them.
 */
import { nearest } from './nearest.ts';
import type { Redactor } from './redactor.ts';

/** Keys of the configuration that are spelt like one: an error that hides where a socket is helps nobody. */
const plainKeys = ['socket', 'tokenUrl'];
const secretKeys = ['password', 'passwd', 'secret', 'token', 'privateKey', 'apiKey', 'credentials'];

export function learnPlaintext(value: unknown, redactor: Redactor): void {
  look(value, false, redactor, new Set());
}

/** @param inSecret the value stands under the name of a secret */
function look(value: unknown, inSecret: boolean, redactor: Redactor, seen: Set<object>): void {
  if (typeof value === 'string' || typeof value === 'number') {
    const text = String(value);
    const url = URL.parse(text);
    for (const [name, given] of url?.searchParams ?? []) if (isSecretKey(name)) redactor.add(given);
    const inUrl = url?.password ?? '';
    if (inUrl !== '') {
      redactor.add(inUrl);
      redactor.add(safelyDecoded(inUrl));
    } else if (inSecret || text.includes('-----BEGIN')) redactor.add(text);
    return;
  }
  // Aliases can make a value hold itself.
  if (typeof value !== 'object' || value === null || seen.has(value)) return;
  seen.add(value);
  for (const [key, inner] of Object.entries(value)) {
    // `{ env: NAME }` under a password names a secret and is none.
    const isReference = inSecret && ['env', 'file', 'ssm', 'secretsManager'].includes(key);
    look(inner, !isReference && (inSecret || isSecretKey(key)), redactor, seen);
  }
}

function isSecretKey(key: string): boolean {
  if (plainKeys.includes(key)) return false;
  return /password|secret|token/i.test(key) || nearest(key, secretKeys) !== null;
}

function safelyDecoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text; // not percent-encoded after all
  }
}
