/**
 * Chooses loopback ports for servers that must be told theirs.
 *
 * They are drawn below the range from which systems take ports for outgoing connections (32768 and up on Linux). Asking
 * for port 0 would hand out exactly those, and a member that is stopped and restarted on its port could then find some
 * client's socket on it. Between the check and the server's own listen another process may win; the caller tries again.
 */
import { randomInt } from 'node:crypto';
import { createServer } from 'node:net';
import { ServerError } from '../server-error.ts';

const FIRST_PORT = 15_000;
const LAST_PORT = 32_000;
const handedOut = new Set<number>();

export async function freePorts(count: number): Promise<readonly number[]> {
  const ports: number[] = [];
  for (let attempt = 0; ports.length < count; attempt += 1) {
    if (attempt > 1000) {
      throw new ServerError('server.start-failed', 'No free loopback port was found.', 'Stop leftover servers first.');
    }
    const port = randomInt(FIRST_PORT, LAST_PORT);
    if (handedOut.has(port) || !(await isFree(port))) continue;
    handedOut.add(port);
    ports.push(port);
  }
  return ports;
}

export function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = createServer();
    probe.once('error', () => resolve(false));
    probe.listen({ host: '127.0.0.1', port, exclusive: true }, () => probe.close(() => resolve(true)));
  });
}
