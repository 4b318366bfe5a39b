/**
 * What the tests of Consul share: stores on a real server, wiped between tests, and an application that writes to it over
 * the HTTP API. One server serves all tests of a file: starting one costs more than most of the tests.
 */
import type { ConsulServer } from '@keyferry/servers';
import { clientAgent, request } from '@keyferry/servers';
import { keyFromText, keyToText, type Key } from '@keyferry/core';
import type { Change, SeedRecord, TargetFixture, TargetHarness } from '@keyferry/core/testing';
import { ControlKeys } from '../../src/consul/control-keys.ts';
import { openConsulTarget, type ConsulTargetOptions } from '../../src/consul/index.ts';

export type ConsulStore = ReturnType<typeof openConsulTarget>;
export interface ConsulFixture extends Omit<TargetFixture, 'store'> {
  readonly store: ConsulStore;
  readonly application: ConsulApplication;
  readonly openAnother: (options?: Partial<ConsulTargetOptions>) => Promise<ConsulStore>;
}

export function harnessOf(server: () => ConsulServer) {
  return {
    key: (name: string) => keyFromText(`contract/${name}`),
    nowMs: () => Date.now(),
    traits: { binaryKeys: false, lawRuns: 10 },
    open: (records: readonly SeedRecord[]) => openFixture(server(), records),
  } satisfies TargetHarness;
}

/** Speaks to the first endpoint as an application does, with the management token where there is one. */
export class ConsulApplication {
  private readonly endpoint: string;
  private readonly agent;
  private readonly headers: Readonly<Record<string, string>>;

  constructor({ endpoints, managementToken, clientTls }: ConsulServer) {
    this.endpoint = endpoints[0] ?? '';
    this.agent = clientAgent(clientTls, 4);
    this.headers = managementToken === undefined ? {} : { 'x-consul-token': managementToken };
  }

  async call(method: string, path: string, body?: string): Promise<unknown> {
    const options = { method, agent: this.agent, headers: this.headers, ...(body !== undefined && { body }) };
    const reply = await request(`${this.endpoint}/v1/${path}`, options);
    if (reply.status >= 300 && reply.status !== 404)
      throw new Error(`${method} ${path}: ${reply.status} ${reply.body}`);
    return reply.status === 404 || reply.body === '' ? null : (JSON.parse(reply.body) as unknown);
  }

  async wipe(): Promise<void> {
    await this.call('DELETE', 'kv/?recurse');
  }

  /** In transactions of as many as go into one, in order. */
  async write(changes: readonly Change[]): Promise<void> {
    for (let at = 0; at < changes.length; at += 64) {
      const operations = changes.slice(at, at + 64).map((each) =>
        'put' in each
          ? {
              KV: {
                Verb: 'set',
                Key: keyToText(each.put.key),
                Value: Buffer.from(each.put.value).toString('base64'),
              },
            }
          : { KV: { Verb: 'delete', Key: keyToText(each.delete) } },
      );
      await this.call('PUT', 'txn', JSON.stringify(operations));
    }
  }

  /** @param flags decimal: they may be above what a number holds */
  async putFlags(key: string, value: string, flags: string): Promise<void> {
    await this.call('PUT', `kv/${key}?flags=${flags}`, value);
  }

  async flagsOf(key: string): Promise<string | null> {
    const reply = await request(`${this.endpoint}/v1/kv/${key}`, { agent: this.agent, headers: this.headers });
    return /"Flags":(\d+)/.exec(reply.body)?.[1] ?? null;
  }

  /** A session that holds `key` as a lock. @returns its id */
  async lock(key: string): Promise<string> {
    const { ID } = (await this.call('PUT', 'session/create', '{"TTL":"600s","LockDelay":"0s"}')) as { ID: string };
    await this.call('PUT', `kv/${key}?acquire=${ID}`, 'holder');
    return ID;
  }

  async unlock(session: string): Promise<void> {
    await this.call('PUT', `session/destroy/${session}`);
  }

  close(): void {
    this.agent.destroy();
  }
}

export async function openFixture(
  server: ConsulServer,
  records: readonly SeedRecord[],
  options: Partial<ConsulTargetOptions> = {},
): Promise<ConsulFixture> {
  const { endpoints, managementToken: token } = server;
  const open = (more: Partial<ConsulTargetOptions> = {}) =>
    openConsulTarget({ name: 'test', endpoints, token, nowMs: () => Date.now(), ...options, ...more });
  const store = open();
  const stores = [store];
  const application = new ConsulApplication(server);
  await application.wipe();
  // One by one, where they are few: all of a transaction share an index, and an application's writes do not.
  const seeds = records.map((put) => ({ put }));
  await (seeds.length > 64 ? application.write(seeds) : Promise.all(seeds.map((seed) => application.write([seed]))));
  return {
    store,
    application,
    change: async (changes) => {
      for (const each of changes) await application.write([each]);
    },
    putTombstone: async (migration, key) => {
      const keys = new ControlKeys(store.capabilities.reservedPrefix as Key, migration);
      const own = [keys.tomb(key), keys.entombed].map((at) => ({
        put: { key: at, value: new Uint8Array(), ttlMs: null },
      }));
      await application.write([{ delete: key }, ...own]);
    },
    openAnother: (more) => {
      const another = open(more);
      stores.push(another);
      return Promise.resolve(another);
    },
    close: async () => {
      application.close();
      for (const each of stores) await each.close();
    },
  };
}
