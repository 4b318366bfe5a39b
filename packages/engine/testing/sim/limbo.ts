/**
 * Limbo: requests whose caller has given up, still on the wire. Left to chance, one of them hardly ever arrives in the
 * few milliseconds between a successor's claim and the successor's own writes; yet that is when it does harm. So a claim
 * calls some of them in.
 */
import type { Kernel } from './kernel.ts';
import type { Prng } from './prng.ts';

export class Limbo {
  private readonly kernel: Kernel;
  private readonly prng: Prng;
  private waiting: (() => void)[] = [];

  constructor(kernel: Kernel, prng: Prng) {
    this.kernel = kernel;
    this.prng = prng;
  }

  /** Runs `effect` once: at `latestMs`, or when something calls it in. */
  add(latestMs: number, effect: () => void): void {
    let done = false;
    const once = (): void => {
      if (!done) effect();
      done = true;
      this.waiting = this.waiting.filter((other) => other !== once);
    };
    this.waiting.push(once);
    this.kernel.at(latestMs, once);
  }

  /** Lets some of them through within the next moments. */
  call(withinMs: number): void {
    for (const effect of this.waiting) {
      if (this.prng.chance(0.6)) this.kernel.at(this.kernel.nowMs + this.prng.below(withinMs), effect);
    }
  }
}
