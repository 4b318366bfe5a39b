/**
 * A proxy between keyferry and one server of HTTP that keeps back an answer: what was asked is done, and whoever asked does not
 * know yet. There a test ends the process, at a point of its choosing and not of its luck.
 */
import { once } from 'node:events';
import { createServer, request as httpRequest } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface AskedRequest {
  /** `METHOD path?query`. */
  readonly line: string;
  readonly body: string;
}

export interface HeldAnswers {
  readonly endpoint: string;
  /** From now on the answer to the first request that `isIt` names is kept back. @returns when it is */
  holdAt(isIt: (asked: AskedRequest) => boolean): Promise<void>;
  close(): Promise<void>;
}

export async function startHeldAnswers(server: string): Promise<HeldAnswers> {
  let waiting: { readonly isIt: (asked: AskedRequest) => boolean; readonly held: () => void } | null = null;
  const proxy = createServer((incoming, outgoing) => {
    const pieces: Buffer[] = [];
    incoming.on('data', (piece: Buffer) => pieces.push(piece));
    incoming.on('end', () => {
      const { method = '', url = '', headers } = incoming;
      const body = Buffer.concat(pieces);
      const held =
        waiting?.isIt({ line: `${method} ${url}`, body: body.toString('utf8') }) === true ? waiting.held : null;
      if (held !== null) waiting = null;
      const forward = httpRequest(`${server}${url}`, { method, headers }, (answer) => {
        if (held !== null) {
          answer.resume().on('end', held);
          return;
        }
        outgoing.writeHead(answer.statusCode ?? 502, answer.headers);
        answer.pipe(outgoing);
      });
      forward.on('error', () => incoming.socket.destroy());
      forward.end(body);
    });
  });
  proxy.listen(0, '127.0.0.1');
  await once(proxy, 'listening');
  return {
    endpoint: `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`,
    holdAt: (isIt) =>
      new Promise((resolve) => {
        waiting = { isIt, held: resolve };
      }),
    close: async () => {
      proxy.closeAllConnections();
      proxy.close();
      await once(proxy, 'close');
    },
  };
}
