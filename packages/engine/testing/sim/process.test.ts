/**
 * Goal: a simulated process sends nothing after its death, whatever it was about to send.
 * Method: one call whose fate is to put the process to sleep before the request leaves it, and to kill it.
 */
import { describe, expect, it } from 'vitest';
import { Kernel } from './kernel.ts';
import { Limbo } from './limbo.ts';
import { Prng } from './prng.ts';
import { SimProcess } from './process.ts';
import { calm, Weather, type Fate } from './weather.ts';

class Doom extends Weather {
  override fateOf(): Fate {
    const stall = { ms: 1000, before: true };
    return { kind: 'answered', requestMs: 5, answerMs: 5, stall, crash: true, interrupt: false };
  }
}

describe('a simulated process', () => {
  it('that sleeps before it sends dies when it has sent', async () => {
    const kernel = new Kernel(true);
    const prng = new Prng('doom');
    const outside = { kernel, weather: new Doom(prng, calm), limbo: new Limbo(kernel, prng) };
    const doomed = new SimProcess(outside, 'doomed', prng, 0);
    const bornAtMs = kernel.nowMs;
    let diedAfterMs = 0;
    await kernel.run(async () => {
      const ending = await doomed.run(() => doomed.call('source', 'read', async () => undefined));
      expect(ending.kind).toBe('crashed');
      diedAfterMs = kernel.nowMs - bornAtMs;
    });
    expect(diedAfterMs).toBe(1000);
  });
});
