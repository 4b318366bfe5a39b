/** What must be empty says so by its own listings, of either release. */
import { KeyferryError, type StopSignal } from '@keyferry/core';
import * as z from 'zod';
import type { RegistryApi } from './registry-api.ts';

const count = z.object({ count: z.int() });

/**
 * @param listings a name for people, and the path that counts it
 * @throws {KeyferryError} `registry.not-empty`
 */
export async function assertEmpty(
  api: RegistryApi,
  listings: Readonly<Record<string, string>>,
  signal: StopSignal,
): Promise<void> {
  const held: string[] = [];
  for (const [what, path] of Object.entries(listings)) {
    const { count: rows } = await api.get(`${path}?limit=1`, count, signal);
    if (rows > 0) held.push(`${rows} ${what}`);
  }
  const rules = await api.get('/admin/rules', z.array(z.string()), signal);
  if (rules.length > 0) held.push(`global rules ${rules.join(', ')}`);
  if (held.length === 0) return;
  throw new KeyferryError('registry.not-empty', { store: api.store, detail: `it holds ${held.join(', ')}` });
}
