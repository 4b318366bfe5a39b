/** Goal: no more run at once than there are lanes, and a failure is told when nothing is under way. Method: counted work. */
import { setImmediate as turn } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { Lanes } from './lanes.ts';

describe('lanes', () => {
  it.each([1, 3, 50])('let at most %i run at once, in order, and answer each in its place', async (count) => {
    const lanes = new Lanes(count);
    let [underWay, most] = [0, 0];
    const started: number[] = [];
    const items = Array.from({ length: 40 }, (_, i) => i);
    const doubled = await lanes.all(items, async (item) => {
      started.push(item);
      underWay += 1;
      most = Math.max(most, underWay);
      for (let turns = item % 3; turns >= 0; turns -= 1) await turn();
      underWay -= 1;
      return item * 2;
    });
    expect(doubled).toEqual(items.map((item) => item * 2));
    expect(started).toEqual(items);
    expect(most).toBe(Math.min(count, items.length));
  });

  it('throw the first failure once nothing is under way, and are free again', async () => {
    const lanes = new Lanes(2);
    let underWay = 0;
    const failing = lanes.all([1, 2, 3, 4, 5], async (item) => {
      underWay += 1;
      await turn();
      underWay -= 1;
      if (item % 2 === 0) throw new TypeError(`item ${item}`);
    });
    await expect(failing).rejects.toThrow('item 2');
    expect(underWay).toBe(0);
    expect(await lanes.all([1], async (item) => item)).toEqual([1]);
  });

  it('begin nothing more after a failure where that is asked for', async () => {
    const lanes = new Lanes(2);
    const begun: number[] = [];
    const failing = lanes.untilFailed([1, 2, 3, 4, 5, 6], async (item) => {
      begun.push(item);
      await turn();
      if (item === 2) throw new TypeError(`item ${item}`);
    });
    await expect(failing).rejects.toThrow('item 2');
    expect(begun.length).toBeLessThanOrEqual(3);
    await lanes.untilFailed([7], async (item) => void begun.push(item));
    expect(begun.at(-1)).toBe(7);
  });

  it('are not held by thousands that wait: whoever else comes takes its turn', async () => {
    const lanes = new Lanes(2);
    const begun: string[] = [];
    const many = lanes.all([1, 2, 3, 4, 5, 6], async (item) => {
      begun.push(`many ${item}`);
      await turn();
    });
    await lanes.all(['other'], async (item) => void begun.push(item));
    expect(begun.indexOf('other')).toBeLessThan(5);
    await many;
    expect(begun).toHaveLength(7);
  });
});
