/**
 * One of several processes that race on a state file: for each round it creates an item, then raises a counter as often
 * as it is told, each time by a conditional write from what it read. Prints what it won.
 */
import type { EventItem } from '@keyferry/core';
import { openSqliteState } from '../../src/state/index.ts';

const [file = '', name = '', roundsText = '0'] = process.argv.slice(2);
const rounds = Number(roundsText);
const event = (message: string, atMs: number): EventItem => ({ atMs, run: name, type: 'race', message });

const state = await openSqliteState({ file });
const won: number[] = [];
let raised = 0;
for (let round = 0; round < rounds; round += 1) {
  const created = await state.write('event', 'race', `round-${round}`, event(name, round), 'absent');
  if (created.kind === 'written') won.push(round);
  for (let done = false; !done;) {
    const current = await state.read('event', 'race', 'counter');
    const next = event(name, (current?.item.atMs ?? 0) + 1);
    const outcome = await state.write('event', 'race', 'counter', next, current?.version ?? 'absent');
    done = outcome.kind === 'written';
    if (done) raised += 1;
  }
}
await state.close();
process.stdout.write(JSON.stringify({ name, won, raised }));
