/** A TCP proxy in front of one member, which can swallow the next answer: the request is done, and nobody hears of it. */
import { createServer, connect, type AddressInfo, type Socket } from 'node:net';
import { once } from 'node:events';

export interface AnswerSwallower {
  readonly endpoint: string;
  /** From the next request on, answers are dropped; with the first one, every connection is. Then all is well again. */
  swallowNext(): void;
  /** Resolves when an answer was dropped. */
  swallowed(): Promise<void>;
  close(): Promise<void>;
}

export async function startSwallower(memberEndpoint: string): Promise<AnswerSwallower> {
  const { hostname, port } = new URL(memberEndpoint);
  const sockets = new Set<Socket>();
  let waiting: 'no' | 'for-request' | 'for-answer' = 'no';
  let tell: () => void = () => {};
  let told = Promise.resolve();
  const server = createServer((client) => {
    const member = connect(Number(port), hostname);
    for (const socket of [client, member]) {
      sockets.add(socket);
      socket.on('error', () => socket.destroy());
      socket.on('close', () => {
        sockets.delete(socket);
        client.destroy();
        member.destroy();
      });
    }
    client.on('data', (bytes) => {
      // A request of these tests is far larger than the housekeeping frames of HTTP/2 that pass beside it.
      if (waiting === 'for-request' && bytes.length > 200) waiting = 'for-answer';
      member.write(bytes);
    });
    member.on('data', (bytes) => {
      if (waiting === 'for-answer' && bytes.length > 60) {
        waiting = 'no';
        for (const socket of sockets) socket.destroy();
        tell();
        return;
      }
      client.write(bytes);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    swallowNext: () => {
      waiting = 'for-request';
      told = new Promise((resolve) => (tell = resolve));
    },
    swallowed: () => told,
    close: async () => {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}
