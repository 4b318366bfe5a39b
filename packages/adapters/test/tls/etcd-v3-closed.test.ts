/**
 * Goal: a connection closed without a word is `store.tls-failed` only where TLS is the reason; a server that is stopping
 *   closes in the same way, and taking that for TLS would end a run that a retry saves.
 * Method: servers that close by FIN or by RST, each by itself: on a real server it is a race which of them a client sees.
 */
import { createServer, type Socket } from 'node:net';
import { describe, expect, it } from 'vitest';
import { openEtcdV3Store } from '../../src/etcd-v3/index.ts';

const tlsHandshake = 22;

/** Answers plain HTTP where `http` says so, and closes on everything else. */
async function startCloser(close: (socket: Socket) => void, http: boolean) {
  const server = createServer((socket) => {
    socket.on('error', () => undefined); // resets are what the test is about
    socket.once('data', (bytes) => {
      if (bytes[0] === tlsHandshake || !http) close(socket);
      else socket.end('HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n');
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  return { endpoint: `https://127.0.0.1:${port}`, [Symbol.asyncDispose]: async () => void server.close() };
}

describe('a connection to etcd v3 that is closed in its handshake', () => {
  it.each([
    { how: 'with FIN', close: (socket: Socket) => void socket.end() },
    { how: 'with RST', close: (socket: Socket) => void socket.resetAndDestroy() },
  ])(
    '$how is a matter of TLS when the server speaks plain HTTP, and of reach when it speaks not',
    async ({ close }) => {
      for (const { http, code } of [
        { http: true, code: 'store.tls-failed' },
        { http: false, code: 'store.unreachable' },
      ]) {
        await using server = await startCloser(close, http);
        const tls = { serverName: 'localhost' };
        const store = openEtcdV3Store({ name: 'new', endpoints: [server.endpoint], tls, nowMs: () => 0 });
        await expect(store.head()).rejects.toMatchObject({ code });
        await expect(store.describe()).rejects.toMatchObject({ code });
        await store.close();
      }
    },
  );
});
