/** Goal: a pause holds until somebody resumes, a cancel for good. Method: the table itself, and both sides of overrides. */
import { describe, expect, it } from 'vitest';
import {
  controlAfter,
  controlThrottled,
  limitsUnder,
  noControl,
  standingOf,
  standingTable,
  type ControlEvent,
  type RunControl,
  type Standing,
} from './run-control.ts';

const first = { by: 'ada@one', atMs: 1 };
const second = { by: 'bob@two', atMs: 2 };
const controls: Readonly<Record<Standing, RunControl>> = {
  going: noControl,
  paused: { ...noControl, paused: first },
  cancelled: { ...noControl, cancelled: first },
};
const standings = Object.keys(standingTable) as Standing[];
const events: readonly ControlEvent[] = ['pause', 'resume', 'cancel'];

describe('controlAfter', () => {
  it.each(standings.flatMap((standing) => events.map((event) => ({ standing, event }))))(
    '$standing, $event: as the table says',
    ({ standing, event }) => {
      const after = controlAfter(controls[standing], event, second);
      expect(after === null ? null : standingOf(after)).toBe(standingTable[standing][event]);
    },
  );

  it('keeps the note of whoever was first, and the throttle', () => {
    const paused = { ...controls.paused, throttle: { ratePerSecond: 5, targetP99Ms: null, ...first } };
    expect(controlAfter(paused, 'pause', second)).toEqual(paused);
    expect(controlAfter(paused, 'resume', second)).toEqual({ ...paused, paused: null });
    expect(controlAfter(paused, 'cancel', second)).toEqual({ ...paused, paused: null, cancelled: second });
  });
});

describe('an override', () => {
  const configured = { ratePerSecond: 2000, targetP99Ms: 50, sourceP99Ms: 20 };
  const slowed = controlThrottled(noControl, { ratePerSecond: 500 }, first);

  it('takes the place of one limit and leaves the others', () =>
    expect(limitsUnder(configured, slowed)).toEqual({ ...configured, ratePerSecond: 500 }));

  it('of another limit adds to it', () =>
    expect(limitsUnder(configured, controlThrottled(slowed, { targetP99Ms: 10 }, second))).toEqual({
      ratePerSecond: 500,
      targetP99Ms: 10,
      sourceP99Ms: 20,
    }));

  it('is taken back as a whole', () =>
    expect(limitsUnder(configured, controlThrottled(slowed, null, second))).toEqual(configured));
});
