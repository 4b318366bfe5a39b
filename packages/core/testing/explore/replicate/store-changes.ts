/** What one change does to a store, whoever makes it: its record, and what the tail that reads the store has before it. */
import type { PrimarySide } from '../../../src/index.ts';
import type { Id } from '../history.ts';
import type { Side, World } from './world.ts';

export function changeStore(world: World, side: PrimarySide, value: Id, by: 'an instance' | 'a tail'): World {
  const store = world[side];
  const ahead = store.ahead && [...store.ahead, value];
  const next = withSide(world, side, { value, ahead });
  // In a hold what began before it may still come; behind a flip nothing may (SPEC I16).
  const isBehind = by === 'an instance' && side !== world.announced.primary;
  return isBehind ? { ...next, wrong: `an instance wrote the ${side}, which is not primary any more` } : next;
}

export function withSide(world: World, side: PrimarySide, change: Partial<Side>): World {
  return { ...world, [side]: { ...world[side], ...change } };
}
