/**
 * Goal: whatever comes back instead of a whole v2 tree is an error with the right code, never an empty or a short view.
 * Method: a server of our own that answers with one given page, and a proxy that cuts a real answer short.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { connect, createServer as createTcpServer, type AddressInfo, type Server } from 'node:net';
import { loadV2Keys, serverOrSkip, startEtcd } from '@keyferry/servers';
import { afterEach, describe, expect, it } from 'vitest';
import { expectFailure, openSource, readPrefix } from './etcd-v2-fixture.ts';

const closers: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0)) await close();
});

async function listen(server: Server): Promise<string> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  closers.push(() => new Promise((resolve) => server.close(() => resolve())));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

const etcdHeaders = {
  'content-type': 'application/json',
  'x-etcd-cluster-id': '2e660f820e522205',
  'x-etcd-index': '7',
  'x-raft-index': '9',
  'x-raft-term': '2',
};

function answering(answer: (request: IncomingMessage, response: ServerResponse) => void): Promise<string> {
  return listen(createServer(answer).on('connection', (socket) => closers.push(async () => void socket.destroy())));
}

function page(status: number, headers: Readonly<Record<string, string>>, body: string): Promise<string> {
  return answering((_, response) => response.writeHead(status, headers).end(body));
}

const tree =
  '{"action":"get","node":{"key":"/a","dir":true,"nodes":[{"key":"/a/b","value":"v","modifiedIndex":5,"createdIndex":5}],"modifiedIndex":5,"createdIndex":5}}';
const v2Error = (errorCode: number, message: string): string =>
  JSON.stringify({ errorCode, message, cause: '', index: 7 });

describe('an answer', () => {
  it('that is whole is a view', async () => {
    const store = openSource([await page(200, etcdHeaders, tree)]);
    expect((await readPrefix(store, '/a/')).records).toHaveLength(1);
    await store.close();
  });

  it.each([
    {
      name: 'a page of HTML',
      status: 502,
      headers: { 'content-type': 'text/html' },
      body: '<html>Bad Gateway</html>',
      code: 'store.answer-unexpected',
      detail: /502.*Bad Gateway/,
    },
    {
      name: 'a page of HTML that claims success',
      status: 200,
      headers: { 'content-type': 'text/html' },
      body: '<html>Log in</html>',
      code: 'store.answer-unexpected',
      detail: /without x-raft-term/,
    },
    {
      name: 'HTML with headers of etcd',
      status: 200,
      headers: etcdHeaders,
      body: '<html>Log in</html>',
      code: 'store.answer-unexpected',
      detail: /not JSON/,
    },
    {
      name: 'a tree without an index',
      status: 200,
      headers: { 'x-raft-term': '2' },
      body: tree,
      code: 'store.answer-unexpected',
      detail: /without x-etcd-index/,
    },
    {
      name: 'nothing',
      status: 200,
      headers: etcdHeaders,
      body: '',
      code: 'store.answer-unexpected',
      detail: /ends too early/,
    },
    {
      name: 'half of a tree',
      status: 200,
      headers: etcdHeaders,
      body: tree.slice(0, -3),
      code: 'store.answer-unexpected',
      detail: /ends too early/,
    },
    {
      name: 'a tree and something behind it',
      status: 200,
      headers: etcdHeaders,
      body: `${tree}{}`,
      code: 'store.answer-unexpected',
      detail: /not JSON/,
    },
    {
      name: 'JSON of another kind',
      status: 200,
      headers: etcdHeaders,
      body: '{"ok":true}',
      code: 'store.answer-unexpected',
      detail: /no "node"/,
    },
    {
      name: 'a redirect',
      status: 301,
      headers: { location: '/elsewhere' },
      body: '<a href="/elsewhere">',
      code: 'store.answer-unexpected',
      detail: /301/,
    },
    {
      name: 'the 404 of a server without v2',
      status: 404,
      headers: { 'content-type': 'text/plain' },
      body: '404 page not found\n',
      code: 'store.unsupported',
      detail: /--enable-v2/,
    },
    {
      name: 'a 404 of a proxy',
      status: 404,
      headers: {},
      body: 'no such host here',
      code: 'store.answer-unexpected',
      detail: /no such host/,
    },
    {
      name: 'a missing key without an index',
      status: 404,
      headers: {},
      body: v2Error(100, 'Key not found'),
      code: 'store.answer-unexpected',
      detail: /without x-etcd-index/,
    },
    {
      name: 'no leader',
      status: 500,
      headers: etcdHeaders,
      body: v2Error(300, 'Raft Internal Error'),
      code: 'store.no-leader',
      detail: /Raft Internal Error/,
    },
    {
      name: 'a leader election',
      status: 500,
      headers: etcdHeaders,
      body: v2Error(301, 'During Leader Election'),
      code: 'store.no-leader',
      detail: /Election/,
    },
    {
      name: 'a bad request',
      status: 400,
      headers: etcdHeaders,
      body: v2Error(209, 'Invalid field'),
      code: 'store.request-refused',
      detail: /Invalid field/,
    },
    {
      name: 'a login page of a proxy',
      status: 401,
      headers: {},
      body: 'log in first',
      code: 'store.auth-failed',
      detail: /needs a user/,
    },
    {
      name: 'a refusal of a proxy',
      status: 403,
      headers: {},
      body: 'forbidden',
      code: 'store.permission-denied',
      detail: /403/,
    },
    {
      name: 'plain HTTP spoken to TLS',
      status: 400,
      headers: {},
      body: 'Client sent an HTTP request to an HTTPS server.\n',
      code: 'store.tls-failed',
      detail: /https/,
    },
  ] as const)('that is $name is $code', async ({ status, headers, body, code, detail }) => {
    const store = openSource([await page(status, headers, body)]);
    await expectFailure(readPrefix(store, '/a/'), code, detail);
    await store.close();
  });

  it('that never comes is a timeout', async () => {
    const store = openSource([await answering(() => undefined)], { requestTimeoutMs: 20 });
    await expectFailure(store.head(), 'store.timeout', /no answer within 20 ms/);
    await expectFailure(readPrefix(store, '/a/'), 'store.timeout', /no answer within 200 ms/);
    await store.close();
  });

  it('with the same key twice is no tree', async () => {
    const twice = tree.replace('[{', '[{"key":"/a/b","value":"w","modifiedIndex":4},{');
    const store = openSource([await page(200, etcdHeaders, twice)]);
    await expectFailure(readPrefix(store, '/a/'), 'store.answer-unexpected', /\/a\/b is there twice/);
    await store.close();
  });
});

describe('an endpoint', () => {
  const refusing = 'http://127.0.0.1:1';

  it('that refuses connections is unreachable', async () => {
    const store = openSource([refusing]);
    await expectFailure(store.head(), 'store.unreachable', /ECONNREFUSED/);
    await store.close();
  });

  it('that fails is passed over for the next one, which is then asked first', async () => {
    let asked = 0;
    const failing = await answering((_, response) => {
      asked += 1;
      response.writeHead(500, etcdHeaders).end(v2Error(300, 'Raft Internal Error'));
    });
    const cutting = await answering((_, response) => {
      asked += 1;
      response.writeHead(200, { ...etcdHeaders, 'content-length': String(tree.length) });
      response.write(tree.slice(0, 50), () => response.destroy());
    });
    const good = await page(200, etcdHeaders, tree);
    const store = openSource([refusing, failing, cutting, good]);
    expect((await readPrefix(store, '/a/')).records).toHaveLength(1);
    expect((await readPrefix(store, '/a/')).records).toHaveLength(1);
    expect(asked).toBe(2);
    await store.close();
  });

  it('that closed a kept connection is asked anew', async () => {
    const store = openSource([
      await answering((request, response) => {
        response.writeHead(200, etcdHeaders).end(tree);
        response.on('finish', () => setImmediate(() => request.socket.destroy()));
      }),
    ]);
    for (let i = 0; i < 20; i += 1) expect(await store.head()).toBe('7');
    await store.close();
  });

  it.each([
    { endpoint: 'http://user:hidden-password@127.0.0.1:2379', says: /holds a user or a password/ },
    { endpoint: 'http://127.0.0.1:2379/v2/keys', says: /has a path/ },
    { endpoint: '127.0.0.1:2379', says: /is not a URL/ },
  ])('such as $endpoint is refused without being repeated', async ({ endpoint, says }) => {
    await expectFailure(
      (async () => openSource([endpoint]))(),
      'usage.invalid',
      new RegExp(`^(?!.*hidden-password).*${says.source}`),
    );
  });
});

const available = await serverOrSkip('etcd-3.4');

describe.skipIf(!available.ok)(`a connection to a real server${available.note}`, () => {
  it('that is cut at any place of the answer gives no view', async () => {
    await using server = await startEtcd({ version: '3.4', enableV2: true });
    const endpoint = server.endpoints[0] ?? '';
    const keys = Array.from({ length: 500 }, (_, i) => ({ key: `/cut/d${i % 9}/${i}`, value: 'v'.repeat(i) }));
    await loadV2Keys(endpoint, keys);
    const limit = { bytes: Infinity, passed: 0 };
    const proxy = await listen(proxyTo(Number(new URL(endpoint).port), limit));
    const whole = openSource([proxy]);
    expect((await readPrefix(whole, '/cut/')).records).toHaveLength(500);
    await whole.close();
    const total = limit.passed;
    for (const bytes of [
      1,
      100,
      600,
      5_000,
      60_000,
      120_000,
      total - 100,
      total - 6,
      total - 5,
      total - 2,
      total - 1,
    ]) {
      limit.bytes = bytes;
      const store = openSource([proxy]);
      await expectFailure(readPrefix(store, '/cut/'), 'store.unreachable', /cut in the middle|hang up|ECONNRESET/);
      await store.close();
    }
  });

  it('whose v2 API is off says how to turn it on', async () => {
    await using server = await startEtcd({ version: '3.4', enableV2: false });
    const store = openSource(server.endpoints);
    await expectFailure(store.describe(), 'store.unsupported', /--enable-v2/);
    await expectFailure(store.head(), 'store.unsupported', /--enable-v2/);
    await expectFailure(readPrefix(store, '/'), 'store.unsupported', /--enable-v2/);
    await store.close();
  });
});

/** Passes everything on until the server has sent so many bytes, then closes both sides in good order. */
function proxyTo(port: number, limit: { bytes: number; passed: number }): Server {
  return createTcpServer((client) => {
    let left = limit.bytes;
    const upstream = connect(port, '127.0.0.1');
    client.pipe(upstream);
    upstream.on('data', (piece: Buffer) => {
      client.write(piece.subarray(0, Math.min(piece.length, left)));
      left -= piece.length;
      limit.passed += piece.length;
      if (left > 0) return;
      client.end();
      upstream.destroy();
    });
    upstream.on('error', () => client.destroy());
    upstream.on('close', () => client.end());
    client.on('error', () => upstream.destroy());
    client.on('close', () => upstream.destroy());
  });
}
