/** A wrong command name: suggests the near one and never runs it. Exits 64 through the one way to fail. */
import type { Hook } from '@oclif/core';
import { exitCodes } from '../exit-codes.ts';
import { usageError } from '../usage-error.ts';
import { loadAdapters } from '../wiring.ts';

const hook: Hook<'command_not_found'> = async ({ id, config }) => {
  const { nearest } = await loadAdapters();
  const near = nearestCommand(id, config.commandIDs, nearest);
  const typed = id
    .split(':')
    .slice(0, near?.split(':').length ?? 1)
    .join(' ');
  const meant = near === null ? '' : `did you mean:   keyferry ${near.replaceAll(':', ' ')}\n`;
  const error = usageError(`keyferry has no command ${typed}`, `${meant}list them:   keyferry help`);
  // oclif swallows what a hook throws unless it carries an exit code.
  throw Object.assign(error, { oclif: { exit: exitCodes.usage } });
};

/** oclif glues arguments to an unknown id (`plann:config`), so as many words are compared as the command has. */
export function nearestCommand(
  id: string,
  known: readonly string[],
  nearest: (name: string, known: readonly string[]) => string | null,
): string | null {
  const words = id.split(':');
  for (const count of [2, 1]) {
    const name = words.slice(0, count).join(':');
    const near = nearest(
      name,
      known.filter((each) => each.split(':').length === count),
    );
    if (near !== null && words.length >= count) return near;
  }
  return null;
}

export default hook;
