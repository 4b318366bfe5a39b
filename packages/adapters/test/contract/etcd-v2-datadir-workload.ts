/**
 * What applications do to an etcd v2, in all the ways that its API has, accepted and refused, from a seed.
 *
 * Names are few, so that requests meet: files become directories, conditions hold and fail, deletes find and miss.
 */
import { request, v2KeyUrl } from '@keyferry/servers';

/** Numbers from 0 to below `below`, the same for the same seed (mulberry32). */
export function dice(seed: number): (below: number) => number {
  let state = seed >>> 0;
  return (below) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) % below;
  };
}

const names = ['a', 'b', 'a-b', 'ü', '日本', '😀', '_h', 'x y', '100%', '"q"', '<&>', '\u2028', 'ｚ', 'c', 'd'];

export interface Tally {
  accepted: number;
  refused: number;
}

/** Sends `count` requests one after another and counts the answers. */
export async function work(endpoint: string, seed: number, count: number): Promise<Tally> {
  const roll = dice(seed);
  const tally = { accepted: 0, refused: 0 };
  let lastIndex = '1';
  for (let i = 0; i < count; i += 1) {
    const { method, path, fields } = nextRequest(roll, i, lastIndex);
    const { status, body } = await send(endpoint, method, path, fields);
    if (status < 300) {
      tally.accepted += 1;
      const { node } = JSON.parse(body) as { node?: { modifiedIndex?: number } };
      lastIndex = String(node?.modifiedIndex ?? lastIndex);
    } else tally.refused += 1;
  }
  return tally;
}

interface Sent {
  readonly method: 'GET' | 'PUT' | 'POST' | 'DELETE';
  readonly path: string;
  readonly fields: Readonly<Record<string, string>>;
}

function nextRequest(roll: (below: number) => number, i: number, lastIndex: string): Sent {
  const depth = 1 + roll(3);
  const path = `/${Array.from({ length: depth }, () => names[roll(names.length)]).join('/')}`;
  const value = ['', 'v', `value ${i}`, 'é\u2028<b>&amp;"\\'][roll(4)] ?? '';
  const put = (fields: Readonly<Record<string, string>>): Sent => ({ method: 'PUT', path, fields });
  const remove = (fields: Readonly<Record<string, string>>): Sent => ({ method: 'DELETE', path, fields });
  const kinds: readonly (() => Sent)[] = [
    () => put({ value }),
    () => put({ value }),
    () => put({ value }),
    () => put({ value, ttl: '3600' }),
    () => put({ value, ttl: '1' }),
    () => put({ dir: 'true' }),
    () => put({ dir: 'true', ttl: '7200' }),
    () => put({ dir: 'true', ttl: '2' }),
    () => put({ value, prevExist: 'false' }),
    () => put({ value, prevExist: 'true' }),
    () => put({ ttl: '5400', prevExist: 'true', refresh: 'true' }),
    () => put({ ttl: '4800', prevExist: 'true', dir: 'true' }),
    () => put({ ttl: '6000', refresh: 'true' }),
    () => put({ value, ttl: '', prevExist: 'true' }),
    () => put({ value: 'swapped', prevValue: 'v' }),
    () => put({ value: 'swapped', prevIndex: lastIndex }),
    () => put({ value: 'swapped', prevIndex: '18446744073709551615' }),
    () => put({ value: 'swapped', prevValue: 'v', prevIndex: lastIndex, prevExist: 'true' }),
    () => ({ method: 'POST', path, fields: { value } }),
    () => ({ method: 'POST', path, fields: { value, ttl: '4000' } }),
    () => remove({}),
    () => remove({ dir: 'true' }),
    () => remove({ recursive: 'true' }),
    () => remove({ prevValue: 'swapped' }),
    () => remove({ prevIndex: lastIndex }),
    () => ({ method: 'DELETE', path: '/', fields: { recursive: 'true' } }),
    () => ({ method: 'PUT', path: '/', fields: { value: 'x' } }),
    () => ({ method: 'GET', path, fields: { quorum: 'true', recursive: 'true' } }),
  ];
  return (kinds[roll(kinds.length)] as () => Sent)();
}

export async function send(
  endpoint: string,
  method: Sent['method'],
  path: string,
  fields: Readonly<Record<string, string>>,
): Promise<{ readonly status: number; readonly body: string; readonly index: string }> {
  const form = new URLSearchParams(fields).toString();
  const url = v2KeyUrl(endpoint, path);
  const inBody = method === 'PUT' || method === 'POST';
  const headers = { 'content-type': 'application/x-www-form-urlencoded' };
  const reply = await request(inBody ? url : `${url}?${form}`, {
    method,
    timeoutMs: 60_000,
    ...(inBody ? { headers, body: form } : {}),
  });
  const index = reply.headers['x-etcd-index'];
  return { status: reply.status, body: reply.body, index: typeof index === 'string' ? index : '' };
}
