/** Migrations of one configuration in an order in which none comes before those that it is to come after. */
import { invariant } from '../errors/invariant.ts';

/**
 * Those that do not depend on each other stay in the order in which they were given.
 * @param after of each migration, those that come before it: names among the keys, in no circle
 */
export function migrationOrder(after: Readonly<Record<string, readonly string[]>>): readonly string[] {
  const ordered = new Set<string>();
  const waiting = Object.keys(after);
  while (waiting.length > 0) {
    const at = waiting.findIndex((name) => (after[name] ?? []).every((before) => ordered.has(before)));
    invariant(at >= 0, () => `none of ${waiting.join(', ')} can come first`);
    for (const name of waiting.splice(at, 1)) ordered.add(name);
  }
  return [...ordered];
}
