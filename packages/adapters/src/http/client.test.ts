/**
 * Goal: a connection that the server dropped while it was idle costs a read nothing, and never more than an error with a code.
 * Method: a server that answers the first request of each connection and breaks it at the second, a given number of times.
 */
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { HttpClient } from './client.ts';

const servers: Server[] = [];
afterEach(() => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    server.close();
  }
});

/** @param breaks how many connections break when they are used again */
async function clientOf(breaks: number): Promise<HttpClient> {
  const used = new WeakSet<object>();
  let left = breaks;
  const server = createServer(({ socket }, answer) => {
    if (used.has(socket) && left > 0) {
      left -= 1;
      socket.destroy();
      return;
    }
    used.add(socket);
    answer.end('ok');
  });
  servers.push(server);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return new HttpClient({ store: 'old', endpoints: [`http://127.0.0.1:${port}`], timeouts: { headersMs: 5000 } });
}

const readText = (client: HttpClient): Promise<string> =>
  client.read({ path: '/' }, async (answer) => {
    let text = '';
    for await (const piece of answer.pieces()) text += Buffer.from(piece).toString();
    return text;
  });

/** So many connections as there are requests at a time, idle afterwards. */
async function warm(client: HttpClient, connections: number): Promise<void> {
  await Promise.all(Array.from({ length: connections }, () => readText(client)));
}

describe('an HTTP client whose idle connections died', () => {
  it.each([1, 3])('reads on when %i of them did', async (died) => {
    const client = await clientOf(died);
    await warm(client, died);
    expect(await readText(client)).toBe('ok');
    client.close();
  });

  it('tells with a code when there is no end of them', async () => {
    const client = await clientOf(100);
    await warm(client, 12);
    await expect(readText(client)).rejects.toMatchObject({ code: 'store.unreachable' });
    client.close();
  });
});
