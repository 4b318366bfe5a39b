/** So many requests at once and no more: what waits in a socket's queue would time out there. */
export class Lanes {
  private readonly count: number;
  private free: number;
  private readonly waiting: (() => void)[] = [];

  constructor(count: number) {
    this.count = count;
    this.free = count;
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

  /**
   * Runs all, and throws the first failure only when none of them is under way any more. One that has not begun costs nothing:
   * a registry has hundreds of thousands.
   */
  async all<T, R>(items: readonly T[], work: (item: T) => Promise<R>): Promise<readonly R[]> {
    const results: R[] = [];
    const failed: { at: number; error: unknown } = { at: items.length, error: null };
    const left = items.entries();
    const takeTurns = async (): Promise<void> => {
      for (const [at, item] of left) {
        try {
          results[at] = await this.run(() => work(item));
        } catch (error) {
          if (at < failed.at) Object.assign(failed, { at, error });
        }
      }
    };
    await Promise.all(Array.from({ length: Math.min(this.count, items.length) }, takeTurns));
    if (failed.at < items.length) throw failed.error;
    return results;
  }
}
