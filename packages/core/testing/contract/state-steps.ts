/** Steps that the suites of a state store share. */
import { expect } from 'vitest';
import type { EventItem, StateStore, StateVersion } from '../../src/index.ts';

export function eventOf(message: string): EventItem {
  return { atMs: 1, run: 'run', type: 'test', message };
}

export async function create(store: StateStore, id: string, item: EventItem, scope = 'm'): Promise<StateVersion> {
  const outcome = await store.write('event', scope, id, item, 'absent');
  expect(outcome.kind).toBe('written');
  if (outcome.kind !== 'written') throw new Error(`${id} was there already`);
  return outcome.version;
}
