/** Which command a call is of, before anything is loaded that could tell more. */
import { hasFlag } from './early-flags.ts';

/** Id of the command that is to run; null: help, a topic, a wrong name, or no name at all. */
export function calledCommand(argv: readonly string[], ids: Readonly<Record<string, unknown>>): string | null {
  if (hasFlag(argv, '--help', '-h')) return null;
  const [first = '', second = ''] = argv;
  // Help is about all commands.
  return [`${first}:${second}`, first].find((id) => id !== 'help' && Object.hasOwn(ids, id)) ?? null;
}
