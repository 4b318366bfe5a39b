/** An HTTP proxy in front of a real registry, which may answer in its place, or not at all. */
import { createServer, request as httpRequest, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { ApicurioServer } from '@keyferry/servers';

/** Passes everything on. @param judge gives a status to answer with instead; 'never': no answer comes; null: none of these */
export async function startProxy(
  { endpoint }: Pick<ApicurioServer, 'endpoint'>,
  judge: (request: IncomingMessage) => number | 'never' | null,
  tls?: object,
): Promise<{ readonly endpoint: string; close(): void }> {
  const pass = (incoming: IncomingMessage, response: ServerResponse): void => {
    const status = judge(incoming);
    if (status === 'never') return;
    if (status !== null) return void response.writeHead(status).end();
    const { method = 'GET', url = '/', headers } = incoming;
    const outgoing = httpRequest(new URL(url, endpoint), { method, headers }, (answer) => {
      response.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(response);
    });
    incoming.pipe(outgoing);
  };
  const server = tls === undefined ? createServer(pass) : createTlsServer(tls, pass);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    endpoint: `${tls === undefined ? 'http' : 'https'}://127.0.0.1:${port}`,
    close: () => {
      server.closeAllConnections();
      server.close();
    },
  };
}
