/**
 * One of several processes that race on a table: for each round it creates an item, then raises a counter as often as it
 * is told, each time by a conditional write from what it read, and replaces a body that is too large for one item.
 * Prints what it won.
 */
import type { EventItem, PlanDocument } from '@keyferry/core';
import { openDynamoDbState } from '../../src/state/dynamodb/index.ts';
import { largeBody } from './dynamodb-bodies.ts';

const [endpoint = '', table = '', name = '', roundsText = '0'] = process.argv.slice(2);
const rounds = Number(roundsText);
const event = (message: string, atMs: number): EventItem => ({ atMs, run: name, type: 'race', message });
const isBusy = (error: unknown): boolean => error instanceof Error && 'retry' in error && error.retry === 'backoff';

/** As the engine does, without its waits: until it is an outcome. */
async function settled<T>(call: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await call();
    } catch (error) {
      if (!isBusy(error)) throw error;
    }
  }
}

const state = await openDynamoDbState({ endpoint, table, region: 'eu-west-1' });
const won: number[] = [];
const read: string[] = [];
for (let round = 0; round < rounds; round += 1) {
  const id = `round-${round}`;
  const created = await settled(() => state.write('event', 'race', id, event(name, round), 'absent'));
  if (created.kind === 'written') won.push(round);
  for (let done = false; !done;) {
    const current = await settled(() => state.read('event', 'race', 'counter'));
    const next = event(name, (current?.item.atMs ?? 0) + 1);
    const outcome = await settled(() => state.write('event', 'race', 'counter', next, current?.version ?? 'absent'));
    done = outcome.kind === 'written';
  }
  const before = await settled(() => state.read('plan', 'race', 'large'));
  if (before !== null) read.push((before.item as unknown as { text: string }).text.slice(0, 8));
  const body = largeBody(`${name}${String(round).padStart(7, '0')}`) as unknown as PlanDocument;
  await settled(() => state.write('plan', 'race', 'large', body, before?.version ?? 'absent'));
}
await state.close();
process.stdout.write(JSON.stringify({ name, won, read }));
