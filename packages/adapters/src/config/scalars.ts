/**
 * The scalar fields of a configuration: durations, sizes, names, references to secrets. Each says in its own words
 * what it expects, and none repeats what it was given: that could be a secret in the wrong place.
 */
import { parseDurationMs, parseRatePerSecond, parseSizeBytes } from '@keyferry/core';
import * as z from 'zod';
import { compileGlob } from './glob.ts';

export const missing = 'is missing';
export const plaintextSecret = 'holds a secret in plain text: refer to it as { env: NAME } or { file: PATH }';
export const laterVersion = 'is not available in this version';

interface Complaint {
  readonly input?: unknown;
}

/** @param text what is expected: `a number of workers from 1 to 64` */
export const expects =
  (text: string) =>
  ({ input }: Complaint): string =>
    input === undefined ? missing : `${text} is expected`;

export const text = z.string({ error: expects('a text') }).min(1, 'a text that is not empty is expected');

/** A glob over keys. */
export const glob = text.refine(isGlob, 'a glob is expected, and this one does not close or has a range that descends');

function isGlob(written: string): boolean {
  try {
    return compileGlob(written)(written) !== undefined;
  } catch {
    return false; // the regular expression that it stands for is the test
  }
}

/** Names of stores and migrations stand in state items, file names and commands. */
export const name = z
  .string()
  .max(100)
  .regex(/^[A-Za-z0-9][A-Za-z0-9._-]*$/);

export function integer(what: string, min: number, max: number) {
  const error = expects(`${what}, a whole number from ${min} to ${max},`);
  return z.int({ error }).min(min, { error }).max(max, { error });
}

/** On or off. */
export const flag = z.boolean({ error: expects('true or false') });

const bare = 'a bare number is refused where a unit is needed';
const durationWords = 'a duration such as 500ms, 30s, 10m or 24h';
const sizeWords = 'a size such as 64KiB or 16MiB';
const rateWords = 'a rate of keys a second such as 200/s or 2000/s';

const withUnit =
  (words: string) =>
  ({ input }: Complaint): string =>
    isBareNumber(input) ? `${bare}: ${words} is expected` : expects(words)({ input });

function isBareNumber(input: unknown): boolean {
  return typeof input === 'number' || (typeof input === 'string' && /^\s*\d+(\.\d+)?\s*$/.test(input));
}

/** Milliseconds, more than 0. */
export const duration = z
  .string({ error: withUnit(durationWords) })
  .regex(/^\d+(\.\d+)?(ms|s|m|h|d)$/, { error: withUnit(durationWords) })
  .transform((written) => Math.round(parseDurationMs(written) ?? 0))
  .refine((ms) => ms > 0, 'a duration of more than 0 is expected');

/** Bytes, more than 0. */
export const size = z
  .string({ error: withUnit(sizeWords) })
  .regex(/^\d+(\.\d+)?(B|KiB|MiB|GiB)$/, { error: withUnit(sizeWords) })
  .transform((written) => Math.round(parseSizeBytes(written) ?? 0))
  .refine((bytes) => bytes > 0, 'a size of more than 0 is expected');

/** Keys a second, more than 0. */
export const rate = z
  .string({ error: withUnit(rateWords) })
  .refine((written) => parseRatePerSecond(written) !== null, { error: withUnit(rateWords) })
  .transform((written) => parseRatePerSecond(written) ?? 0);

/** One of some words. */
export function choice<const T extends string>(values: readonly [T, ...T[]]) {
  return z.enum(values, { error: expects(values.length === 1 ? values[0] : `one of ${values.join(', ')}`) });
}

const references = [
  z.strictObject({ env: text }),
  z.strictObject({ file: text }),
  z.strictObject({ ssm: text.describe('a parameter in AWS Systems Manager Parameter Store') }),
  z.strictObject({ secretsManager: text.describe('a secret in AWS Secrets Manager') }),
] as const;
const referenceWords = 'a reference, { env: NAME }, { file: PATH }, { ssm: NAME } or { secretsManager: ID },';

const referenceComplaint = (input: unknown): string => expects(referenceWords)({ input });

/** A secret: only ever by reference. */
export const secret = z.union(references, {
  error: ({ input }) =>
    ['string', 'number', 'boolean', 'bigint'].includes(typeof input) ? plaintextSecret : referenceComplaint(input),
});

/** A user name: by reference, or as it is. */
export const userName = z.union([text, ...references], { error: ({ input }) => referenceComplaint(input) });

const isPem = (written: string): boolean => written.includes('-----BEGIN');

/** A PEM file: its path, or a reference. */
function pem(inFull: string) {
  return z
    .union([text.refine((written) => !isPem(written), inFull), ...references], {
      error: ({ input }) => referenceComplaint(input),
    })
    .transform((written) => (typeof written === 'string' ? { file: written } : written));
}
export const certificate = pem('the path of a PEM file is expected, not its content');
export const privateKey = pem(plaintextSecret);

/** Scheme, host and port. A password in it would be one in plain text. */
export const endpoint = z
  .string({ error: expects('a URL such as https://etcd-1:2379') })
  .superRefine((written, context) => {
    const url = URL.parse(written);
    if (url === null || (url.protocol !== 'http:' && url.protocol !== 'https:')) {
      context.addIssue('a URL such as https://etcd-1:2379 is expected');
    } else if (url.username !== '' || url.password !== '') {
      context.addIssue(plaintextSecret);
    } else if (url.pathname !== '/' || url.search !== '' || url.hash !== '') {
      context.addIssue('an endpoint is scheme, host and port, without a path');
    }
  });
