/** Goal: a reference is read when it is used, told to the redactor, and missing with its name but nothing of a value. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { redacted, Redactor } from './redactor.ts';
import { readAuth, readSecret, readTls } from './secrets.ts';

let directory = '';
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'keyferry-secrets-'));
  await writeFile(join(directory, 'password'), 'hunter22\n');
  await writeFile(join(directory, 'empty'), '\n');
  await writeFile(join(directory, 'key.pem'), 'a private key of some length\n');
  await writeFile(join(directory, 'ca.pem'), 'an authority\n');
});
afterAll(() => rm(directory, { recursive: true }));

const context = (redactor = new Redactor()) => ({ directory, redactor, env: { USER_NAME: 'root', EMPTY: '' } });

describe('a reference', () => {
  it('to a file is its line, relative to the configuration, known to the redactor', async () => {
    const redactor = new Redactor();
    expect(await readSecret({ file: 'password' }, context(redactor))).toBe('hunter22');
    expect(redactor.redact('it is hunter22')).toBe(`it is ${redacted}`);
  });

  it.each([
    [{ env: 'GONE' }, '{ env: GONE }'],
    [{ env: 'EMPTY' }, '{ env: EMPTY }'],
    [{ file: 'gone' }, '{ file: gone }'],
    [{ file: 'empty' }, '{ file: empty }'],
  ])('that leads to nothing is named: %o', async (reference, named) => {
    await expect(readSecret(reference, context())).rejects.toMatchObject({
      code: 'config.secret-missing',
      details: { reference: named },
    });
  });

  it('of auth is read; a user may be named as he is', async () => {
    const password = { file: 'password' };
    expect(await readAuth({ user: { env: 'USER_NAME' }, password }, context())).toEqual({
      user: 'root',
      password: 'hunter22',
    });
    expect(await readAuth({ user: 'alice', password }, context())).toEqual({ user: 'alice', password: 'hunter22' });
  });

  it('of TLS is read whole, and only the key is a secret', async () => {
    const redactor = new Redactor();
    const tls = { ca: { file: 'ca.pem' }, cert: null, key: { file: 'key.pem' }, serverName: 'etcd' };
    expect(await readTls(tls, context(redactor))).toEqual({
      ca: 'an authority\n',
      key: 'a private key of some length\n',
      serverName: 'etcd',
    });
    expect(redactor.redact('an authority, a private key of some length')).toBe(`an authority, ${redacted}`);
  });
});
