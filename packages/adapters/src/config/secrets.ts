/**
 * Reads what a reference refers to: at the moment of use, once a connection, and never into the configuration. Each
 * secret is told to the redactor before anybody else sees it.
 */
import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { KeyferryError } from '@keyferry/core';
import type { Redactor } from './redactor.ts';
import type { AuthConfig, SecretReference, TlsConfig } from './resolved-config.ts';

export interface SecretContext {
  /** What relative paths are relative to. */
  readonly directory: string;
  readonly redactor: Redactor;
  /** The environment's variables; those of the process unless given. */
  readonly env?: Readonly<Record<string, string | undefined>>;
}

/** The texts behind references, in the shape that adapters take. */
export interface ResolvedTls {
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
  readonly serverName?: string;
}

export interface ResolvedAuth {
  readonly user: string;
  readonly password: string;
}

/** One line, without the line end that editors put at the end of a file. @throws {KeyferryError} `config.secret-missing` */
export async function readSecret(reference: SecretReference, context: SecretContext): Promise<string> {
  const secret = (await readReference(reference, context)).replace(/\r?\n$/, '');
  if (secret === '') throw secretMissing(reference);
  context.redactor.add(secret);
  return secret;
}

/** @throws {KeyferryError} `config.secret-missing` */
export async function readTls(tls: TlsConfig, context: SecretContext): Promise<ResolvedTls> {
  const key = tls.key === null ? null : await readReference(tls.key, context);
  if (key !== null) context.redactor.add(key);
  return {
    ...(tls.ca === null ? {} : { ca: await readReference(tls.ca, context) }),
    ...(tls.cert === null ? {} : { cert: await readReference(tls.cert, context) }),
    ...(key === null ? {} : { key }),
    ...(tls.serverName === null ? {} : { serverName: tls.serverName }),
  };
}

/** @throws {KeyferryError} `config.secret-missing` */
export async function readAuth(auth: AuthConfig, context: SecretContext): Promise<ResolvedAuth> {
  const { user } = auth;
  // A name that is kept out of the file is kept out of the output too.
  const resolved = {
    user: typeof user === 'string' ? user : await readSecret(user, context),
    password: await readSecret(auth.password, context),
  };
  // A server may throw the header of HTTP basic authentication back at us.
  context.redactor.add(Buffer.from(`${resolved.user}:${resolved.password}`).toString('base64'));
  return resolved;
}

async function readReference(reference: SecretReference, context: SecretContext): Promise<string> {
  if ('env' in reference) {
    const value = (context.env ?? process.env)[reference.env];
    if (value === undefined || value === '') throw secretMissing(reference);
    return value;
  }
  try {
    return await readElsewhere(reference, context);
  } catch (cause) {
    throw secretMissing(reference, cause);
  }
}

async function readElsewhere(
  reference: Exclude<SecretReference, { readonly env: string }>,
  { directory, env = process.env }: SecretContext,
): Promise<string> {
  if ('file' in reference) return await readFile(resolve(directory, reference.file), 'utf8');
  // Loaded only where a configuration refers to a service of AWS.
  const { readAwsSecret } = await import('../aws-secrets/read-secret.ts');
  return 'ssm' in reference
    ? await readAwsSecret('ssm', reference.ssm, env)
    : await readAwsSecret('secretsManager', reference.secretsManager, env);
}

function secretMissing(reference: SecretReference, cause?: unknown): KeyferryError {
  const [[kind, name] = ['', '']] = Object.entries(reference);
  return new KeyferryError(
    'config.secret-missing',
    { reference: `{ ${kind}: ${name} }` },
    cause === undefined ? {} : { cause },
  );
}
