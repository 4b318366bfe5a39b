/**
 * Whether a listing may be believed to be whole, as far as the server can tell.
 *
 * What a token may not read is left out of listings without a word: with no token at all on a server with ACLs, that may
 * be everything, and an empty store is what it looks like. So a store without a token is refused there. A token that may
 * read nothing below a prefix is found by the read of its position, which is denied. A token that may read some of it and
 * not all is found by the server's own word from 1.11 on, and by nobody before (`hidesKeys` of the capabilities).
 */
import { KeyferryError } from '@keyferry/core';
import type { ConsulApi } from './api.ts';

/** @throws {KeyferryError} `store.auth-failed`: the server has ACLs, and no token is configured. */
export async function assertTokenWhereNeeded(api: ConsulApi): Promise<void> {
  if (api.hasToken || !(await api.readAclsAreOn())) return;
  const detail = 'ACLs are on and no token is configured: what anybody may not read would look as if it were not there';
  throw new KeyferryError('store.auth-failed', { store: api.store, detail });
}
