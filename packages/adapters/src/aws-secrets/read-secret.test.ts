/**
 * Goal: a reference to a secret of AWS asks for exactly that one, signed, and neither a failure nor its cause holds a value.
 * Method: a server of this test in the place of the service, as neither runs outside of AWS.
 */
import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Redactor } from '../config/redactor.ts';
import { readSecret } from '../config/secrets.ts';

interface Asked {
  readonly target: unknown;
  readonly authorization: string;
  readonly body: unknown;
}

let server: Server;
let asked: Asked[] = [];
let answer: { readonly status: number; readonly body: object } = { status: 200, body: {} };
let env: Record<string, string> = {};

beforeEach(async () => {
  asked = [];
  const take = async (request: IncomingMessage): Promise<void> => {
    const { 'x-amz-target': target, authorization = '' } = request.headers;
    asked.push({ target, authorization, body: JSON.parse(await text(request)) });
  };
  server = createServer((request, response) => {
    void take(request).then(() => response.writeHead(answer.status).end(JSON.stringify(answer.body)));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  env = { AWS_REGION: 'eu-west-1', AWS_ENDPOINT_URL_SSM: url, AWS_ENDPOINT_URL_SECRETS_MANAGER: url };
  Object.assign(process.env, { AWS_ACCESS_KEY_ID: 'AKIDEXAMPLE', AWS_SECRET_ACCESS_KEY: 'a-key-of-the-test' });
});
afterEach(async () => {
  await new Promise((resolve) => server.close(resolve));
  delete process.env['AWS_ACCESS_KEY_ID'];
  delete process.env['AWS_SECRET_ACCESS_KEY'];
});

const context = (redactor = new Redactor()) => ({ directory: '/', redactor, env });

describe('a secret of AWS', () => {
  it.each([
    {
      reference: { ssm: '/keyferry/password' },
      target: 'AmazonSSM.GetParameter',
      body: { Name: '/keyferry/password', WithDecryption: true },
      answers: { Parameter: { Value: 'hunter22' } },
      scope: '/eu-west-1/ssm/aws4_request',
    },
    {
      reference: { secretsManager: 'keyferry/etcd' },
      target: 'secretsmanager.GetSecretValue',
      body: { SecretId: 'keyferry/etcd' },
      answers: { SecretString: 'hunter22' },
      scope: '/eu-west-1/secretsmanager/aws4_request',
    },
  ])(
    'is asked for by $target, signed, and known to the redactor',
    async ({ reference, target, body, answers, scope }) => {
      answer = { status: 200, body: answers };
      const redactor = new Redactor();
      expect(await readSecret(reference, context(redactor))).toBe('hunter22');
      expect(asked).toEqual([{ target, body, authorization: expect.stringContaining(scope) as unknown }]);
      expect(redactor.redact('hunter22')).not.toContain('hunter22');
    },
  );

  it('that is not there, or may not be read, is named', async () => {
    answer = { status: 400, body: { __type: 'ParameterNotFound', message: 'of /gone' } };
    const failure = readSecret({ ssm: '/gone' }, context());
    await expect(failure).rejects.toMatchObject({
      code: 'config.secret-missing',
      details: { reference: '{ ssm: /gone }' },
      cause: { message: 'AmazonSSM.GetParameter answered 400 ParameterNotFound' },
    });
  });

  it('without a region is refused before anything is asked', async () => {
    delete env['AWS_REGION'];
    await expect(readSecret({ secretsManager: 'x' }, context())).rejects.toMatchObject({
      code: 'config.secret-missing',
    });
    expect(asked).toEqual([]);
  });
});
