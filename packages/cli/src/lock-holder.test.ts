/**
 * Goal: a lock is taken over at once when its process is certainly gone, and never when that is not certain.
 * Method: machines made up as tables; then this very process.
 */
import { spawnSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { holderForPeople, holderIsGone, holderText, thisMachine, type ProcessTable } from './lock-holder.ts';

/** Running processes with their starts. */
function machine(running: Readonly<Record<number, string>>, more: Partial<ProcessTable> = {}): ProcessTable {
  return {
    host: 'ci-17',
    user: 'deploy',
    pid: 4711,
    place: '3f1c9a2e.4026531836',
    startOf: (pid) => running[pid] ?? null,
    isRunning: (pid) => pid in running,
    ...more,
  };
}
const holder = holderText(machine({ 4711: '8812345' }));

describe('the holder of a lock', () => {
  it('is a text for people with a mark behind it', () => {
    expect(holder).toBe('deploy@ci-17, pid 4711 [3f1c9a2e.4026531836.8812345]');
    expect(holderForPeople(holder)).toBe('deploy@ci-17, pid 4711');
    expect(holderText(machine({}))).toBe('deploy@ci-17, pid 4711');
  });

  it.each<[string, boolean, ProcessTable, string]>([
    ['runs', false, machine({ 4711: '8812345' }), holder],
    ['has ended', true, machine({}), holder],
    ['has ended and its process id is used again', true, machine({ 4711: '9999999' }), holder],
    ['runs, though its start cannot be read', false, machine({ 4711: '1' }, { startOf: () => null }), holder],
    ['is on another host', false, machine({}, { host: 'ci-18' }), holder],
    ['is from before a reboot', false, machine({}, { place: 'aaaaaaaa.4026531836' }), holder],
    ['is in another container of the same name', false, machine({}, { place: '3f1c9a2e.4026532999' }), holder],
    ['left no mark', false, machine({}), 'deploy@ci-17, pid 4711'],
    ['is asked about where the system tells nothing', false, machine({}, { place: null }), holder],
    ['wrote something else', false, machine({}), 'whoever'],
  ])('who %s: gone is %s', (_, want, table, text) => expect(holderIsGone(table)({ holder: text })).toBe(want));

  it('is found alive when it is this process, and gone when it is one that ended', () => {
    const here = thisMachine();
    const isGone = holderIsGone(here);
    const own = holderText(here);
    expect(isGone({ holder: own })).toBe(false);
    const { pid: ended } = spawnSync(process.execPath, ['--version']);
    const other = own.replace(`pid ${process.pid}`, `pid ${ended}`);
    // Without /proc there is no mark, and then nobody is ever taken for gone.
    expect(isGone({ holder: other })).toBe(here.place !== null);
  });
});
