/** Consul as a benchmark sees it: bare requests over one HTTP agent, and its servers' CPU time. */
import { Agent, request as httpRequest } from 'node:http';
import type { ConsulServer } from '@keyferry/servers';
import { cpuSecondsOf } from '../measure/process-usage.ts';
import { benchPrefix, type BenchRecord } from './records.ts';

/** Keys of Consul do not begin with a slash. */
export const consulPrefix = benchPrefix.slice(1);
export const consulKey = ({ key }: Pick<BenchRecord, 'key'>): string => key.slice(1);

export class PlainConsul {
  private readonly url: URL;
  private readonly agent: Agent;

  constructor(endpoint: string, connections: number) {
    this.url = new URL(endpoint);
    this.agent = new Agent({ keepAlive: true, maxSockets: connections });
  }

  /** @throws unless it is answered 200 */
  put(path: string, body: string): Promise<string> {
    return this.call('PUT', path, body);
  }

  get(path: string): Promise<string> {
    return this.call('GET', path);
  }

  close(): void {
    this.agent.destroy();
  }

  private call(method: string, path: string, body?: string): Promise<string> {
    const { hostname, port } = this.url;
    const options = { hostname, port, method, path: `/v1/${path}`, agent: this.agent };
    return new Promise((resolve, reject) => {
      const outgoing = httpRequest(options, (incoming) => {
        const parts: Buffer[] = [];
        incoming.on('data', (part: Buffer) => parts.push(part));
        incoming.on('error', reject);
        incoming.on('end', () => {
          const text = Buffer.concat(parts).toString('utf8');
          if (incoming.statusCode === 200) resolve(text);
          else reject(new Error(`${method} ${path} was answered ${incoming.statusCode ?? 0}: ${text}`));
        });
      });
      outgoing.on('error', reject);
      outgoing.end(body);
    });
  }
}

/** Keys under the bench's prefix. */
export async function countConsul(endpoint: string): Promise<number> {
  const consul = new PlainConsul(endpoint, 1);
  const keys = JSON.parse(await consul.get(`kv/${consulPrefix}?keys`)) as readonly string[];
  consul.close();
  return keys.length;
}

export function consulCpu({ members }: ConsulServer): number {
  return members.reduce((seconds, { pid }) => seconds + (pid === undefined ? 0 : cpuSecondsOf(pid)), 0);
}
