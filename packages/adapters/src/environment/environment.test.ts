/** Goal: the engine can wait without keeping a process alive, and be woken. Method: the real clock, briefly. */
import { describe, expect, it } from 'vitest';
import { keyferryVersion } from './keyferry-version.ts';
import { systemClock } from './system-clock.ts';
import { systemRandom } from './system-random.ts';

const hour = 3_600_000;
const timers = () => process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length;

describe('systemClock.sleep', () => {
  it('ends when it is aborted, and leaves neither timer nor listener', async () => {
    const before = timers();
    const listeners = new Set<() => void>();
    const signal = {
      aborted: false,
      addEventListener: (_type: 'abort', listener: () => void) => void listeners.add(listener),
      removeEventListener: (_type: 'abort', listener: () => void) => void listeners.delete(listener),
    };
    const sleeping = systemClock.sleep(hour, signal);
    expect(timers()).toBe(before + 1);
    for (const listener of listeners) listener();
    await sleeping;
    expect(timers()).toBe(before);
    expect(listeners.size).toBe(0);
  });

  it('does not begin when it was aborted before', async () => {
    await systemClock.sleep(hour, AbortSignal.abort());
    expect(timers()).toBeLessThan(5);
  });

  it('lasts as long as it is asked to', async () => {
    const startedAtMs = systemClock.monotonicMs();
    await systemClock.sleep(5);
    expect(systemClock.monotonicMs() - startedAtMs).toBeGreaterThanOrEqual(4);
  });
});

it('systemRandom draws 32 bits, and others each time', () => {
  const drawn = Array.from({ length: 1000 }, () => systemRandom.uint32());
  expect(drawn.every((value) => Number.isInteger(value) && value >= 0 && value < 2 ** 32)).toBe(true);
  expect(new Set(drawn).size).toBeGreaterThan(990);
});

it('keyferryVersion is that of the package', () => {
  expect(keyferryVersion()).toMatch(/^\d+\.\d+\.\d+/);
});
