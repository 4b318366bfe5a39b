/** A proxy between one store and one server of HTTP, which can drop answers that were given: done, and nobody hears of it. */
import { createServer, request as httpRequest, type Server } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';

export interface Swallower {
  readonly endpoint: string;
  /** The next so many answers to requests that `matches` are dropped with their connections, after they were given. */
  swallow(matches: RegExp, count: number): void;
  close(): Promise<void>;
}

/** `METHOD path` is what `matches` sees. */
export async function startSwallower(memberEndpoint: string): Promise<Swallower> {
  let left = 0;
  let wanted = /^$/;
  const server: Server = createServer((incoming, outgoing) => {
    const line = `${incoming.method ?? ''} ${incoming.url ?? ''}`;
    const { method, headers } = incoming;
    const forward = httpRequest(`${memberEndpoint}${incoming.url ?? ''}`, { method, headers }, (answer) => {
      if (left > 0 && wanted.test(line)) {
        left -= 1;
        answer.resume();
        answer.on('end', () => incoming.socket.destroy());
        return;
      }
      outgoing.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(outgoing);
    });
    forward.on('error', () => incoming.socket.destroy());
    incoming.pipe(forward);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    swallow: (matches, count) => {
      [wanted, left] = [matches, count];
    },
    close: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}
