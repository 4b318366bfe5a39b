/**
 * Goal: whatever a token may not do, and whatever answers in Consul's place, is named by its code; nothing that was left
 * out or cut off passes for an empty store. Method: tokens on a real server with ACLs, and a server that gives bad answers.
 */
import { createServer, type Server, type ServerResponse } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { consulVersions, serverOrSkip, startConsul, type ConsulServer } from '@keyferry/servers';
import { chunkId, keyFromText, prefixRange, type Code, type MigrationId } from '@keyferry/core';
import { readAll } from '@keyferry/core/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openConsulTarget, type ConsulTargetOptions } from '../../src/consul/index.ts';
import { ConsulApplication } from './consul-fixture.ts';

const everything = prefixRange(keyFromText('app/'));
const fence = { attempt: 1, token: 1 };
const note = { holder: 'ada@one', command: 'apply', lock: 'lck_1', acquiredAtMs: 0, end: null };

async function failureOf(endpoints: readonly string[], options: Partial<ConsulTargetOptions>, call = 'read') {
  const store = openConsulTarget({ name: 'test', endpoints, nowMs: () => Date.now(), ...options });
  const control = store.control('access' as MigrationId);
  const calls = {
    read: () => readAll(store, everything),
    count: () => store.countRecords(everything, 10),
    lookUp: () => store.lookUp([keyFromText('app/a'), keyFromText('app/none')]),
    head: () => store.head(),
    describe: () => store.describe(),
    raise: () => control.raiseEpoch(fence),
    lock: () => store.lock?.acquire('access' as MigrationId, note, 10_000),
    write: async () => {
      await control.raiseEpoch(fence);
      const claimed = await control.claimChunk(chunkId(0), fence, fence);
      if (claimed.kind !== 'claimed') return [];
      const value = Buffer.from('v');
      return claimed.writer.write([
        { kind: 'put', key: keyFromText('app/new'), value, expiresAtMs: null, expect: 'absent' },
      ]);
    },
  };
  try {
    return { code: null, answer: await calls[call as keyof typeof calls](), text: '' };
  } catch (error) {
    const { code, message } = error as { code: Code; message: string };
    return { code, answer: null, text: message };
  } finally {
    await store.close();
  }
}

for (const version of consulVersions) {
  const available = await serverOrSkip(`consul-${version}`);
  describe.skipIf(!available.ok)(`ACLs of consul ${version}${available.note}`, () => {
    let server: ConsulServer;
    let application: ConsulApplication;
    beforeAll(async () => {
      server = await startConsul({ version, acl: true });
      application = new ConsulApplication(server);
    });
    afterAll(async () => {
      application.close();
      await server.stop();
    });

    const tokenWith = async (rules: string): Promise<string> => {
      const policy = { Name: `p${Math.random()}`.replace('.', ''), Rules: rules };
      await application.call('PUT', 'acl/policy', JSON.stringify(policy));
      const body = JSON.stringify({ Policies: [{ Name: policy.Name }] });
      return ((await application.call('PUT', 'acl/token', body)) as { SecretID: string }).SecretID;
    };
    const own = 'key_prefix "_keyferry/" { policy = "write" }';
    const wipe = async () => {
      await application.wipe();
      await application.write([{ put: { key: keyFromText('app/a'), value: Buffer.from('v'), ttlMs: null } }]);
    };

    it('are enough with write on the prefix and on the own keys, and no more than that', async () => {
      await wipe();
      const token = await tokenWith(`key_prefix "app/" { policy = "write" } ${own}`);
      const options = { token, prefix: 'app/' };
      for (const call of ['read', 'count', 'lookUp', 'head', 'describe', 'write']) {
        expect({ call, ...(await failureOf(server.endpoints, options, call)) }).toMatchObject({ call, code: null });
      }
    });

    it.each([
      { name: 'no token', token: () => Promise.resolve(undefined), code: 'store.auth-failed' },
      { name: 'a token that is none', token: () => Promise.resolve('no-such-token'), code: 'store.auth-failed' },
      {
        name: 'a token for another prefix',
        token: () => tokenWith('key_prefix "other/" { policy = "write" }'),
        code: 'store.permission-denied',
      },
    ])('with $name are no empty store', async ({ token, code }) => {
      await wipe();
      const options = { token: await token(), prefix: 'app/' };
      for (const call of ['read', 'lookUp', 'head', 'write']) {
        const failure = await failureOf(server.endpoints, options, call);
        if (call === 'head' && options.token === undefined) expect(failure.code).toBe('store.permission-denied');
        else if (options.token === undefined && call !== 'read') expect(failure.code).toBe('store.permission-denied');
        else expect({ call, code: failure.code }).toEqual({ call, code });
        if (options.token !== undefined) expect(failure.text).not.toContain(options.token);
      }
    });

    it.each([
      { lacking: 'the prefix', rules: own, call: 'read', rule: 'key_prefix "app/" { policy = "read" }' },
      {
        lacking: 'writes',
        rules: `key_prefix "app/" { policy = "read" } ${own}`,
        call: 'write',
        rule: 'key_prefix "app/new" { policy = "write" }',
      },
      {
        lacking: 'the own keys',
        rules: 'key_prefix "app/" { policy = "write" }',
        call: 'raise',
        rule: 'key_prefix "_keyferry/access/epoch" { policy = "write" }',
      },
      {
        lacking: 'sessions',
        rules: `key_prefix "app/" { policy = "write" } ${own}`,
        call: 'lock',
        rule: 'session_prefix "" { policy = "write" }',
      },
    ])('without a rule for $lacking, name it as a policy has it', async ({ rules, call, rule }) => {
      await application.wipe();
      const failure = await failureOf(server.endpoints, { token: await tokenWith(rules), prefix: 'app/' }, call);
      expect(failure).toMatchObject({ code: 'store.permission-denied', text: expect.stringContaining(rule) as string });
    });

    it('that permit reading alone write nothing', async () => {
      await wipe();
      const token = await tokenWith(`key_prefix "app/" { policy = "read" } ${own}`);
      const failure = await failureOf(server.endpoints, { token, prefix: 'app/' }, 'write');
      expect(failure.code).toBe('store.permission-denied');
      const keys = (await application.call('GET', 'kv/app/?keys')) as readonly string[];
      expect(keys).toEqual(['app/a']);
    });
  });
}

for (const version of consulVersions) {
  const available = await serverOrSkip(`consul-${version}`);
  describe.skipIf(!available.ok)(`tenancy on the open edition of consul ${version}${available.note}`, () => {
    let server: ConsulServer;
    beforeAll(async () => {
      server = await startConsul({ version });
    });
    afterAll(() => server.stop());

    it.each([{ namespace: 'team' }, { partition: 'team' }, { partition: 'default', namespace: 'default' }])(
      '%j is refused before anything is read or written, and not taken for the default',
      async (options) => {
        const application = new ConsulApplication(server);
        for (const call of ['read', 'count', 'lookUp', 'head', 'raise', 'write']) {
          const { code } = await failureOf(server.endpoints, options, call);
          expect({ call, code }).toEqual({ call, code: 'store.unsupported' });
        }
        expect(await application.call('GET', 'kv/?keys')).toEqual([]);
        application.close();
      },
    );

    it('a datacenter that there is not is a failure, and the own one is not', async () => {
      expect((await failureOf(server.endpoints, { datacenter: 'dc1' }, 'write')).code).toBeNull();
      expect((await failureOf(server.endpoints, { datacenter: 'elsewhere' }, 'read')).code).not.toBeNull();
    });
  });
}

describe('what answers in the place of Consul', () => {
  const index = { 'x-consul-index': '7', 'x-consul-knownleader': 'true' };
  const entry = '{"LockIndex":0,"Key":"app/a","Flags":0,"Value":"dg==","CreateIndex":7,"ModifyIndex":7}';
  type Answer = (response: ServerResponse, path: string) => void;
  const plain =
    (status: number, body: string, headers: Record<string, string> = {}): Answer =>
    (response) => {
      response.writeHead(status, headers).end(body);
    };
  /** A good answer to everything but the listing, which is `answer`. */
  const listing =
    (answer: Answer): Answer =>
    (response, path) => {
      if (path.includes('acl/token/self')) plain(401, 'ACL support disabled')(response, path);
      else if (path.includes('recurse')) answer(response, path);
      else plain(404, '', index)(response, path);
    };

  it.each<{ name: string; answer: Answer; code: Code }>([
    { name: 'a page', answer: plain(200, '<html></html>'), code: 'store.answer-unexpected' },
    { name: 'a page with 404', answer: plain(404, 'not found'), code: 'store.answer-unexpected' },
    { name: 'an empty body', answer: listing(plain(200, '', index)), code: 'store.answer-unexpected' },
    { name: 'an empty list', answer: listing(plain(200, '[]', index)), code: 'store.answer-unexpected' },
    { name: 'half a list', answer: listing(plain(200, `[${entry},{"Lock`, index)), code: 'store.answer-unexpected' },
    { name: 'a list without an index', answer: listing(plain(200, `[${entry}]`)), code: 'store.answer-unexpected' },
    { name: 'no leader', answer: plain(500, 'No cluster leader'), code: 'store.no-leader' },
    {
      name: 'no leader, in a header',
      answer: listing(plain(200, `[${entry}]`, { ...index, 'x-consul-knownleader': 'false' })),
      code: 'store.no-leader',
    },
    {
      name: 'that something was left out',
      answer: listing(plain(200, `[${entry}]`, { ...index, 'x-consul-results-filtered-by-acls': 'true' })),
      code: 'store.permission-denied',
    },
    { name: 'too many requests', answer: plain(429, 'Too many requests'), code: 'store.timeout' },
    {
      name: 'a failed way to the leader',
      answer: plain(500, 'rpc error getting client: failed to get conn: dial tcp: connect: connection refused'),
      code: 'store.unreachable',
    },
    { name: 'an error of its own', answer: plain(500, 'unknown failure'), code: 'store.request-refused' },
    { name: 'a redirect', answer: plain(301, '', { location: '/ui/' }), code: 'store.answer-unexpected' },
    {
      name: 'a connection that ends in the middle',
      answer: listing((response) => {
        response.writeHead(200, { ...index, 'content-length': '1000' }).write(`[${entry}`);
        setImmediate(() => response.destroy());
      }),
      code: 'store.unreachable',
    },
    { name: 'nothing', answer: () => undefined, code: 'store.timeout' },
  ])('with $name is $code', async ({ answer, code }) => {
    const server: Server = createServer((incoming, response) => answer(response, incoming.url ?? ''));
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    try {
      const requestTimeoutMs = code === 'store.timeout' ? 200 : 10_000;
      const failure = await failureOf([endpoint], { requestTimeoutMs });
      expect(failure).toMatchObject({ code });
    } finally {
      server.closeAllConnections();
      server.close();
    }
  });

  it('is passed by where another endpoint is well', async () => {
    const sick: Server = createServer((_, response) => plain(500, 'No cluster leader')(response, ''));
    const well: Server = createServer((incoming, response) =>
      listing(plain(200, `[${entry}]`, index))(response, incoming.url ?? ''),
    );
    const endpoints: string[] = [];
    for (const server of [sick, well]) {
      server.listen(0, '127.0.0.1');
      await once(server, 'listening');
      endpoints.push(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
    }
    try {
      const { code, answer } = await failureOf(endpoints, {});
      expect({ code, answer }).toMatchObject({ code: null, answer: [{ key: 'app/a', version: '7' }] });
    } finally {
      for (const server of [sick, well]) {
        server.closeAllConnections();
        server.close();
      }
    }
  });
});
