/** What stores keep for whoever follows them, as `status` shows it. */
import type { WiredBacklog } from '@keyferry/adapters';
import { KeyferryError } from '@keyferry/core';
import type { CommandRun } from './command-run.ts';
import type { ShownBacklog } from './views/status/index.ts';

/** One that cannot be opened or read is left out with a warning: where the migration stands is known all the same. */
export async function readBacklogs(
  run: Pick<CommandRun, 'reading' | 'warn'>,
  migration: string,
  wire: () => Promise<readonly WiredBacklog[]>,
): Promise<readonly ShownBacklog[]> {
  let wired: readonly WiredBacklog[];
  try {
    wired = await wire();
  } catch (error) {
    const code = error instanceof KeyferryError ? error.code : String(error);
    run.warn(`what the stores of ${migration} keep for whoever follows them could not be read (${code})`);
    return [];
  }
  const shown: ShownBacklog[] = [];
  for (const each of wired) {
    const { side, store } = each;
    try {
      const backlog = await run.reading(each.read());
      if (backlog !== null) shown.push({ side, store, ...backlog });
    } catch (error) {
      const code = error instanceof KeyferryError ? error.code : String(error);
      run.warn(`what store ${store} keeps for the tails could not be read (${code})`);
    } finally {
      await each.close();
    }
  }
  return shown;
}
