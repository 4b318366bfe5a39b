/**
 * Goal: what a store keeps for whoever follows it is shown where it can be read, and hides nothing else where it cannot.
 * Method: stores that answer, and that fail when they are opened or read.
 */
import type { WiredBacklog } from '@keyferry/adapters';
import { KeyferryError } from '@keyferry/core';
import { describe, expect, it } from 'vitest';
import { readBacklogs } from './read-backlogs.ts';

const denied = new KeyferryError('store.permission-denied', { store: 'pg', detail: 'planted' });

async function shown(wire: () => Promise<readonly WiredBacklog[]>) {
  const warnings: string[] = [];
  const run = { warn: (text: string): void => void warnings.push(text), reading: <T>(work: Promise<T>) => work };
  return { backlogs: await readBacklogs(run, 'shop', wire), warnings };
}

describe('backlogs', () => {
  it('are none, with a warning, where the stores cannot be opened', async () => {
    expect(await shown(() => Promise.reject(denied))).toEqual({
      backlogs: [],
      warnings: ['what the stores of shop keep for whoever follows them could not be read (store.permission-denied)'],
    });
  });

  it('are those that can be read, and each store is closed', async () => {
    const closed: string[] = [];
    const store = (name: string, read: WiredBacklog['read']): WiredBacklog => ({
      side: 'source',
      store: name,
      read,
      close: async () => void closed.push(name),
    });
    const good = store('good', async () => ({ bytes: 7, bytesLeft: null }));
    const wired = [store('bad', () => Promise.reject(denied)), store('empty', async () => null), good];
    expect(await shown(async () => wired)).toEqual({
      backlogs: [{ side: 'source', store: 'good', bytes: 7, bytesLeft: null }],
      warnings: ['what store bad keeps for the tails could not be read (store.permission-denied)'],
    });
    expect(closed).toEqual(['bad', 'empty', 'good']);
  });
});
