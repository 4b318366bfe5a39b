/**
 * What an application sees in etcd: v3 through the server's own JSON gateway, which takes keys and values as base64 and
 * so any bytes, and v2 through its HTTP API. Nothing here shares code with the adapters that are tested.
 */
import { request, v2KeyUrl, type Credentials } from '@keyferry/servers';

type Bytes = string | Buffer;

export interface V3Record {
  readonly value: Buffer;
  /** `0`: none. */
  readonly lease: string;
  readonly modRevision: string;
  /** 1: written once since it was created. */
  readonly version: string;
}

interface RangeAnswer {
  readonly header: { readonly revision: string };
  readonly kvs?: readonly { key: string; value?: string; lease?: string; mod_revision: string; version: string }[];
  readonly more?: boolean;
}

const base64 = (bytes: Bytes): string => Buffer.from(bytes as string).toString('base64');

/** One call of the gateway, such as `kv/put`; 3.4 and 3.5 name it alike. */
export async function callV3<T>(endpoint: string, call: string, body: object, token?: string): Promise<T> {
  const headers = { 'content-type': 'application/json', ...(token !== undefined && { authorization: token }) };
  const answer = await request(`${endpoint}/v3/${call}`, { method: 'POST', headers, body: JSON.stringify(body) });
  if (answer.status !== 200) throw new TypeError(`${call} was answered ${answer.status}: ${answer.body}`);
  return JSON.parse(answer.body) as T;
}

export async function putV3(endpoint: string, key: Bytes, value: Bytes, lease = '0'): Promise<void> {
  await callV3(endpoint, 'kv/put', { key: base64(key), value: base64(value), lease });
}

export async function deleteV3(endpoint: string, key: Bytes): Promise<void> {
  await callV3(endpoint, 'kv/deleterange', { key: base64(key) });
}

/** Many keys in few requests. */
export async function loadV3(endpoint: string, entries: readonly (readonly [Bytes, Bytes])[]): Promise<void> {
  for (let at = 0; at < entries.length; at += 100) {
    const success = entries.slice(at, at + 100).map(([key, value]) => ({
      requestPut: { key: base64(key), value: base64(value) },
    }));
    await callV3(endpoint, 'kv/txn', { success });
  }
}

/** All keys under a prefix, by their bytes as Latin-1 text. */
export async function readV3(endpoint: string, prefix: Bytes): Promise<Map<string, V3Record>> {
  const start = Buffer.from(prefix as string);
  const range_end = Buffer.from(start);
  range_end[range_end.length - 1] = (range_end.at(-1) ?? 0) + 1;
  const records = new Map<string, V3Record>();
  for (let key = start; ;) {
    const body = { key: base64(key), range_end: base64(range_end), limit: 1000 };
    const { kvs = [], more = false } = await callV3<RangeAnswer>(endpoint, 'kv/range', body);
    for (const { key: name, value = '', lease = '0', mod_revision: modRevision, version } of kvs) {
      const bytes = Buffer.from(name, 'base64');
      records.set(bytes.toString('latin1'), { value: Buffer.from(value, 'base64'), lease, modRevision, version });
      key = Buffer.concat([bytes, Buffer.from([0])]);
    }
    if (!more) return records;
  }
}

/** The same as plain text, to be compared. */
export async function readTexts(endpoint: string, prefix: string): Promise<Record<string, string>> {
  const records = await readV3(endpoint, prefix);
  return Object.fromEntries([...records].map(([key, { value }]) => [utf8(key), value.toString('utf8')]));
}

export const utf8 = (latin1: string): string => Buffer.from(latin1, 'latin1').toString('utf8');
export const latin1 = (text: string): string => Buffer.from(text, 'utf8').toString('latin1');

export async function grantLease(endpoint: string, ttlSeconds: number): Promise<string> {
  return (await callV3<{ ID: string }>(endpoint, 'lease/grant', { TTL: ttlSeconds })).ID;
}

/** Whole seconds left, rounded down by the server. */
export async function leaseSecondsLeft(endpoint: string, lease: string): Promise<number> {
  return Number((await callV3<{ TTL?: string }>(endpoint, 'lease/timetolive', { ID: lease })).TTL ?? NaN);
}

export interface V2Put {
  readonly value?: string;
  readonly ttl?: number;
  readonly dir?: boolean;
}

/** `key` may be a path that is encoded already. */
export async function putV2(
  endpoint: string,
  key: string,
  { value, ttl, dir }: V2Put,
  credentials?: Credentials,
): Promise<void> {
  const form = new URLSearchParams({
    ...(value !== undefined && { value }),
    ...(ttl !== undefined && { ttl: String(ttl) }),
    ...(dir === true && { dir: 'true' }),
  });
  const headers = { 'content-type': 'application/x-www-form-urlencoded' };
  const options = { method: 'PUT', headers, body: form.toString(), ...(credentials && { credentials }) };
  const { status, body } = await request(v2KeyUrl(endpoint, key), options);
  if (status !== 200 && status !== 201) throw new TypeError(`PUT ${key} was answered ${status}: ${body}`);
}

export interface V2Node {
  readonly key: string;
  readonly value?: string;
  readonly expiration?: string;
}

/** Null: it is not there. */
export async function getV2(endpoint: string, key: string): Promise<V2Node | null> {
  const { status, body } = await request(`${v2KeyUrl(endpoint, key)}?quorum=true`);
  return status === 200 ? (JSON.parse(body) as { node: V2Node }).node : null;
}
