/** What a store keeps to tell its changes goes last, when a migration is over: it takes up space, and nothing else. */
import { KeyferryError } from '@keyferry/core';
import type { Environment } from './migration.ts';
import { withRetry } from './retry.ts';

interface Ending {
  end?(): Promise<void>;
}

/**
 * Takes it away; where the store does not let it, that is told (`feed.not-ended`), as nothing else is left to do.
 * @param store its name in the configuration
 */
export async function endFeed(env: Environment, store: string, feed: Ending | undefined): Promise<void> {
  try {
    await withRetry(env, 'end feed', async () => feed?.end?.());
  } catch (error) {
    if (!(error instanceof KeyferryError)) throw error;
    const { code, message } = error;
    env.host.emit({ code: 'feed.not-ended', data: { store, code, why: message } });
  }
}
