/** What an application sees in Consul, over its HTTP API. Nothing here shares code with the adapter that is tested. */
import { request, type ConsulServer } from '@keyferry/servers';

export interface ConsulRecord {
  readonly value: string;
  readonly flags: number;
  readonly createIndex: number;
  readonly modifyIndex: number;
}

interface WireRecord {
  readonly Key: string;
  readonly Value: string | null;
  readonly Flags: number;
  readonly CreateIndex: number;
  readonly ModifyIndex: number;
}

export async function callConsul(server: ConsulServer, method: string, path: string, body?: string): Promise<unknown> {
  const options = { method, ...(body !== undefined && { body }) };
  const answer = await request(`${server.endpoints[0] ?? ''}/v1/${path}`, options);
  if (answer.status === 404) return null;
  if (answer.status !== 200) throw new TypeError(`${method} ${path} was answered ${answer.status}: ${answer.body}`);
  return answer.body === '' ? null : (JSON.parse(answer.body) as unknown);
}

/** All below a prefix. */
export async function readConsul(server: ConsulServer, prefix: string): Promise<ReadonlyMap<string, ConsulRecord>> {
  const list = (await callConsul(server, 'GET', `kv/${prefix}?recurse&consistent`)) as readonly WireRecord[] | null;
  return new Map(
    (list ?? []).map(({ Key, Value, Flags, CreateIndex, ModifyIndex }) => {
      const value = Buffer.from(Value ?? '', 'base64').toString('utf8');
      return [Key, { value, flags: Flags, createIndex: CreateIndex, modifyIndex: ModifyIndex }];
    }),
  );
}

/** The same as plain values with their flags, to be compared. */
export async function readConsulTexts(server: ConsulServer, prefix: string): Promise<Record<string, string>> {
  const records = await readConsul(server, prefix);
  return Object.fromEntries(
    [...records].map(([key, { value, flags }]) => [key, flags === 0 ? value : `${value} #${flags}`]),
  );
}

/** In transactions. */
export async function loadConsul(
  server: ConsulServer,
  entries: readonly { readonly key: string; readonly value: string; readonly flags?: number }[],
): Promise<void> {
  for (let at = 0; at < entries.length; at += 64) {
    const operations = entries.slice(at, at + 64).map(({ key, value, flags = 0 }) => ({
      KV: { Verb: 'set', Key: key, Value: Buffer.from(value).toString('base64'), Flags: flags },
    }));
    await callConsul(server, 'PUT', 'txn', JSON.stringify(operations));
  }
}
