/**
 * The one error type. A code names what happened in words that stay the same; `details` carries the facts.
 * Summary and remedy may use a detail as `{name}`. No secret may be put into details: they reach logs and JSON.
 */
import { codes, type Code, type DetailsOf, type RetryClass } from './codes.ts';

export class KeyferryError<C extends Code = Code> extends Error {
  readonly code: C;
  readonly details: DetailsOf<C>;

  constructor(code: C, details: DetailsOf<C>, options?: { readonly cause?: unknown }) {
    super(fill(codes[code].summary, details), options);
    this.name = 'KeyferryError';
    this.code = code;
    this.details = details;
  }

  /** never: asking again gives the same answer; backoff: repeat the call; restart: go on from the last checkpoint. */
  get retry(): RetryClass {
    return codes[this.code].retry;
  }

  get remedy(): string {
    return fill(codes[this.code].remedy, this.details);
  }
}

export function isKeyferryError<C extends Code>(error: unknown, code: C): error is KeyferryError<C> {
  return error instanceof KeyferryError && error.code === code;
}

function fill(template: string, details: object): string {
  const values = details as Readonly<Record<string, unknown>>;
  return template.replace(/\{(\w+)\}/g, (whole, name: string) => {
    const value = values[name];
    return typeof value === 'string' || typeof value === 'number' ? String(value) : whole;
  });
}
