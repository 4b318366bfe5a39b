/** Goal: the oracle of live runs finds what it is there for. Method: what instances may have written down, spoilt by one line. */
import { describe, expect, it } from 'vitest';
import type { InstanceLine } from './instance-log.ts';
import { judge } from './judge.ts';

const key = '/hot/1';
const put = (op: number, from: number, to: number): readonly InstanceLine[] => [
  { at: from, kind: 'asked', key, op, what: { kind: 'put', id: op } },
  { at: to, kind: 'told', key, op, said: 'done' },
];
const shown = (op: number, at: number): InstanceLine => ({ at, kind: 'shown', key, op });
const opened: InstanceLine = { at: 0, kind: 'watch', open: true };
const ended: InstanceLine = { at: 60_000, kind: 'mode', mode: 'normal' };

function violationsOf(watcher: readonly InstanceLine[], writer: readonly InstanceLine[], held = 2): readonly string[] {
  return judge({
    instances: new Map([
      ['app-1', writer],
      ['app-2', watcher],
    ]),
    before: new Map([[key, 0]]),
    after: new Map([[key, held]]),
    requestLifeMs: 5000,
  }).violations;
}

describe('a run', () => {
  const writes = [...put(1, 10, 20), ...put(2, 30, 40)];

  it('is right where each write was shown once, in order', () => {
    expect(violationsOf([opened, shown(1, 15), shown(2, 41), ended], writes)).toEqual([]);
  });

  it.each([
    ['a write that is lost', [opened, shown(1, 15), shown(2, 41), ended], writes, 1, '1 is held in the end'],
    [
      'one shown twice',
      [opened, shown(1, 15), shown(1, 16), shown(2, 41), ended],
      writes,
      2,
      'shows 1 at /hot/1 twice',
    ],
    ['one shown late', [opened, shown(2, 41), shown(1, 42), ended], writes, 2, 'shows 1 at /hot/1 after a later write'],
    ['one that is never shown', [opened, shown(2, 41), ended], writes, 2, 'never showed 1 at /hot/1'],
    [
      'one that nobody wrote',
      [opened, shown(1, 15), shown(2, 41), shown(7, 50), ended],
      writes,
      2,
      'which nobody wrote',
    ],
  ])('shows %s', (_what, watcher, writer, held, violation) => {
    expect(violationsOf(watcher, writer, held)).toEqual([expect.stringContaining(violation)]);
  });

  it('forgives a watch that was lost and opened anew', () => {
    const lost: InstanceLine = { at: 25, kind: 'watch', open: false };
    expect(violationsOf([opened, lost, { ...opened, at: 45 }, ended], writes)).toEqual([]);
  });

  it('takes what a kill cut off as something that may have happened', () => {
    const cutOff: InstanceLine = { at: 50, kind: 'asked', key, op: 3, what: { kind: 'put', id: 3 } };
    for (const held of [2, 3]) expect(violationsOf([], [...writes, cutOff], held)).toEqual([]);
    expect(violationsOf([], [...writes, cutOff], 1)).toEqual([expect.stringContaining('1 is held in the end')]);
  });

  it('tells the longest time without a write', () => {
    const instances = new Map([['app-1', [...put(1, 10, 20), ...put(2, 30, 430)]]]);
    const before = new Map([[key, 0]]);
    expect(judge({ instances, before, after: new Map([[key, 2]]), requestLifeMs: 5000 }).writePauseMaxMs).toBe(400);
  });
});
