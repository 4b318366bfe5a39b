/** A TCP proxy in front of a server, whose connections break once so many bytes of answers have passed through one. */
import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';

export interface Cutter {
  readonly port: number;
  /** How many connections were broken. */
  readonly cuts: () => number;
  close(): Promise<void>;
}

export async function startCutter(serverPort: number, bytesMax: number): Promise<Cutter> {
  const sockets = new Set<Socket>();
  let cuts = 0;
  const proxy = createServer((client) => {
    const server = connect(serverPort, '127.0.0.1');
    let passed = 0;
    for (const socket of [client, server]) {
      sockets.add(socket);
      socket.on('error', () => socket.destroy());
      socket.on('close', () => {
        sockets.delete(socket);
        client.destroy();
        server.destroy();
      });
    }
    client.on('data', (bytes) => server.write(bytes));
    server.on('data', (bytes) => {
      passed += bytes.length;
      if (passed <= bytesMax) client.write(bytes);
      else if (!client.writableEnded) {
        cuts += 1;
        client.end(bytes.subarray(0, bytes.length >> 1), () => client.destroy());
      }
    });
  });
  proxy.listen(0, '127.0.0.1');
  await once(proxy, 'listening');
  return {
    port: (proxy.address() as AddressInfo).port,
    cuts: () => cuts,
    close: async () => {
      for (const socket of sockets) socket.destroy();
      proxy.close();
      await once(proxy, 'close');
    },
  };
}
