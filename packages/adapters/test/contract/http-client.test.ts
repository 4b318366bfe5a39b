/**
 * Goal: the HTTP client sends what it is given, waits no longer than it was told to, and follows nobody.
 * Method: servers of our own that answer slowly, partly or elsewhere. TLS and failover are in the tests of etcd v2.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { HttpClient, type HttpRequest } from '../../src/http/client.ts';
import { expectFailure } from './etcd-v2-fixture.ts';

const closers: (() => void)[] = [];
afterEach(() => {
  for (const close of closers.splice(0)) close();
});

type Handler = (request: IncomingMessage, response: ServerResponse) => void | Promise<void>;

async function clientOf(handler: Handler, timeouts = {}): Promise<HttpClient> {
  const server = createServer((request, response) => void handler(request, response));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const auth = { user: 'ü', password: 'p:w' };
  const client = new HttpClient({ store: 'test', endpoints: [endpoint], auth, timeouts });
  closers.push(() => {
    client.close();
    server.closeAllConnections();
    server.close();
  });
  return client;
}

async function* pieces(count: number): AsyncGenerator<Uint8Array> {
  for (let i = 0; i < count; i += 1) yield await Promise.resolve(new Uint8Array(70_000).fill(i));
}

const send = (client: HttpClient, request: HttpRequest) => client.send(client.endpoints[0] ?? '', request);

describe('the HTTP client', () => {
  const echo: Handler = async (request, response) => {
    const parts: Buffer[] = [];
    for await (const part of request) parts.push(part as Buffer);
    const { method, headers } = request;
    const known = {
      method,
      auth: headers.authorization,
      length: headers['content-length'],
      type: headers['content-type'],
    };
    response.setHeader('x-request', JSON.stringify(known)).end(Buffer.concat(parts));
  };

  it('sends bytes, and streams of them, and says who it is only where it may', async () => {
    const client = await clientOf(echo);
    const bytes = Uint8Array.from({ length: 256 }, (_, i) => i);
    const headers = { 'content-type': 'application/octet-stream' };
    const whole = await send(client, { method: 'PUT', path: '/x?y=%20', headers, body: bytes });
    expect(JSON.parse(whole.header('x-request') ?? '')).toEqual({
      method: 'PUT',
      auth: `Basic ${Buffer.from('ü:p:w').toString('base64')}`,
      length: '256',
      type: 'application/octet-stream',
    });
    expect(await whole.read(1000)).toEqual(Buffer.from(bytes));
    const streamed = await send(client, { method: 'POST', path: '/', body: pieces(5), authenticated: false });
    expect(JSON.parse(streamed.header('x-request') ?? '')).toEqual({ method: 'POST' });
    expect((await streamed.read(1_000_000))?.length).toBe(350_000);
  });

  it('reads no more than it was told to', async () => {
    const client = await clientOf(echo);
    expect(await (await send(client, { method: 'PUT', path: '/', body: new Uint8Array(100) })).read(99)).toBeNull();
    expect(await (await send(client, { method: 'PUT', path: '/', body: new Uint8Array(100) })).read(100)).toHaveLength(
      100,
    );
  });

  it('gives up on an answer that stalls midway', async () => {
    const client = await clientOf((_, response) => void response.write('half'), { idleMs: 30 });
    await expectFailure((await send(client, { path: '/' })).read(100), 'store.timeout', /nothing more .* within 30 ms/);
  });

  it('does not count the time of its own reader as a stall', async () => {
    const client = await clientOf((_, response) => void response.end(Buffer.alloc(1_000_000)), { idleMs: 30 });
    let bytes = 0;
    for await (const piece of (await send(client, { path: '/' })).pieces()) {
      if (bytes === 0) await new Promise((resolve) => setTimeout(resolve, 80));
      bytes += piece.byteLength;
    }
    expect(bytes).toBe(1_000_000);
  });

  it('hands a redirect over as an answer', async () => {
    const client = await clientOf((_, response) => void response.writeHead(301, { location: '/other' }).end());
    expect(await client.read({ path: '/' }, (answer) => Promise.resolve(answer.status))).toBe(301);
  });

  it('does not repeat a write whose connection broke', async () => {
    let asked = 0;
    const client = await clientOf((request, response) => {
      asked += 1;
      if (request.method === 'PUT') request.socket.destroy();
      else response.end();
    });
    await (await send(client, { path: '/' })).read(10);
    const write = send(client, { method: 'PUT', path: '/', body: new Uint8Array(1) });
    await expectFailure(write, 'store.unreachable', /hang up|ECONNRESET/);
    expect(asked).toBe(2);
  });
});
