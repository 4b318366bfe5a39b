/** What a cluster says of itself; none of it needs more than a token's right to read keys, or it is left unknown. */
import { isKeyferryError, type StoreDescription } from '@keyferry/core';
import type { ConsulApi } from './api.ts';

export async function describe(api: ConsulApi, endpoints: readonly string[]): Promise<StoreDescription> {
  const peers = await api.readJson('/v1/status/peers');
  const self = await permitted(api.readJson('/v1/agent/self'));
  return {
    kind: 'consul',
    version: textAt(self, 'Config', 'Version') ?? 'unknown',
    endpoints,
    members: Array.isArray(peers) ? peers.length : null,
    // A cluster has no name of its own: datacenter and nodes can be the same in another one.
    identity: null,
    viewLocks: null,
  };
}

/** Null where the token may not ask: `agent:read`. */
async function permitted(answer: Promise<unknown>): Promise<unknown> {
  try {
    return await answer;
  } catch (error) {
    if (isKeyferryError(error, 'store.permission-denied')) return null;
    throw error;
  }
}

function textAt(json: unknown, ...path: readonly string[]): string | null {
  let found = json;
  for (const part of path) {
    if (typeof found !== 'object' || found === null) return null;
    found = (found as Readonly<Record<string, unknown>>)[part];
  }
  return typeof found === 'string' ? found : null;
}
