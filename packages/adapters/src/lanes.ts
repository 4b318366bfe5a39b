/** So many requests at once and no more: what waits in a socket's queue would time out there. */
export class Lanes {
  private free: number;
  private readonly waiting: (() => void)[] = [];

  constructor(lanes: number) {
    this.free = lanes;
  }

  /** Runs `work` when a lane is free, first come, first served. */
  async run<T>(work: () => Promise<T>): Promise<T> {
    if (this.free > 0) this.free -= 1;
    else await new Promise<void>((resolve) => this.waiting.push(resolve));
    try {
      return await work();
    } finally {
      // Handed on, not given back: nobody who comes now gets in before those who wait.
      const next = this.waiting.shift();
      if (next === undefined) this.free += 1;
      else next();
    }
  }

  /** As `all`, and begins none after one has failed: where a failure has used up all patience, thousands of them would add up. */
  async untilFailed<T>(items: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
    let hasFailed = false;
    await this.all(items, async (item) => {
      if (hasFailed) return;
      try {
        await work(item);
      } catch (error) {
        hasFailed = true;
        throw error;
      }
    });
  }

  /** Runs all, and throws the first failure only when none of them is under way any more. */
  async all<T, R>(items: readonly T[], work: (item: T) => Promise<R>): Promise<readonly R[]> {
    const settled = await Promise.allSettled(items.map((item) => this.run(() => work(item))));
    const failed = settled.find((each) => each.status === 'rejected');
    if (failed !== undefined) throw failed.reason;
    return settled.map((each) => (each as PromiseFulfilledResult<R>).value);
  }
}
