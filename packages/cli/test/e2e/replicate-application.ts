/**
 * An application that follows the switch: before each write it reads it, and writes where it says, or waits. It keeps its own
 * tally of what it wrote, which is what both stores are held against.
 *
 * One that stood still between the look and the write would write to the wrong store; so it looks again when the look is
 * older than a moment, far below the life of a request that the migration allows for.
 */
import { request, v2KeyUrl } from '@keyferry/servers';
import { callV3, deleteV3, putV3, readTexts } from './etcd-data.ts';

export interface ApplicationStore {
  readonly put: (name: string, value: string) => Promise<void>;
  readonly delete: (name: string) => Promise<void>;
  /** By the rest of the key. */
  readonly read: () => Promise<Readonly<Record<string, string>>>;
}

export function v3Store(endpoint: string, prefix: string): ApplicationStore {
  return {
    put: (name, value) => putV3(endpoint, prefix + name, value),
    delete: (name) => deleteV3(endpoint, prefix + name),
    read: async () => withoutPrefix(await readTexts(endpoint, prefix), prefix),
  };
}

export function v2Store(endpoint: string, prefix: string): ApplicationStore {
  const send = async (method: string, name: string, body?: string): Promise<void> => {
    const headers = { 'content-type': 'application/x-www-form-urlencoded' };
    const reply = await request(v2KeyUrl(endpoint, prefix + name), {
      method,
      headers,
      ...(body !== undefined && { body }),
    });
    if (reply.status >= 400 && reply.status !== 404)
      throw new TypeError(`${method} ${name}: ${reply.status} ${reply.body}`);
  };
  return {
    put: (name, value) => send('PUT', name, `value=${encodeURIComponent(value)}`),
    delete: (name) => send('DELETE', name),
    read: async () => {
      const reply = await request(`${v2KeyUrl(endpoint, prefix.replace(/\/$/, ''))}?recursive=true&quorum=true`);
      if (reply.status === 404) return {};
      const records: Record<string, string> = {};
      const walk = ({ key = '', value, nodes = [] }: V2Node): void => {
        if (value !== undefined) records[key] = value;
        for (const node of nodes) walk(node);
      };
      walk((JSON.parse(reply.body) as { node: V2Node }).node);
      return withoutPrefix(records, prefix);
    },
  };
}

interface V2Node {
  readonly key?: string;
  readonly value?: string;
  readonly nodes?: readonly V2Node[];
}

function withoutPrefix(records: Readonly<Record<string, string>>, prefix: string): Readonly<Record<string, string>> {
  return Object.fromEntries(Object.entries(records).map(([key, value]) => [key.slice(prefix.length), value]));
}

const lookIsFreshMs = 500;
const keys = 40;

export class Application {
  /** What is to be there, by what was acknowledged. */
  readonly tally = new Map<string, string>();
  writes = 0;
  /** The longest time from one acknowledged write to the next. */
  pauseMaxMs = 0;
  private readonly stores: Readonly<Record<'source' | 'target', ApplicationStore>>;
  private readonly switchRecord: () => Promise<string | null>;
  private stopping = false;
  private running: Promise<void> | null = null;

  constructor(stores: Application['stores'], switchRecord: () => Promise<string | null>) {
    this.stores = stores;
    this.switchRecord = switchRecord;
  }

  start(): void {
    this.stopping = false;
    this.running = this.goOn();
    this.running.catch(() => undefined); // `stop` is told of it
  }

  async stop(): Promise<void> {
    this.stopping = true;
    await this.running;
    this.running = null;
  }

  private async goOn(): Promise<void> {
    let lastMs = Date.now();
    for (let turn = 0; !this.stopping; turn += 1) {
      const lookedAtMs = Date.now();
      const text = await this.switchRecord();
      const record = text === null ? null : (JSON.parse(text) as { primary: 'source' | 'target'; writes: string });
      if (record?.writes === 'held' || Date.now() - lookedAtMs > lookIsFreshMs) {
        await new Promise((resolve) => setTimeout(resolve, 10));
        continue;
      }
      const store = this.stores[record?.primary ?? 'source'];
      const name = `app/${turn % keys}`;
      // Some keys are written once and never again: what is lost of them stays lost.
      if (turn % 5 === 4) {
        await store.put(`log/${turn}`, `once ${turn}`);
        this.tally.set(`log/${turn}`, `once ${turn}`);
      } else if (turn % 7 === 6) {
        await store.delete(name);
        this.tally.delete(name);
      } else {
        await store.put(name, `turn ${turn}`);
        this.tally.set(name, `turn ${turn}`);
      }
      this.writes += 1;
      this.pauseMaxMs = Math.max(this.pauseMaxMs, Date.now() - lastMs);
      lastMs = Date.now();
    }
  }
}

/** A key of etcd v3 as text; null: it is not there. */
export async function textAtV3(endpoint: string, key: string): Promise<string | null> {
  const body = { key: Buffer.from(key).toString('base64') };
  const { kvs = [] } = await callV3<{ kvs?: readonly { value?: string }[] }>(endpoint, 'kv/range', body);
  return kvs[0] === undefined ? null : Buffer.from(kvs[0].value ?? '', 'base64').toString('utf8');
}
