/**
 * One view of the source's image for all workers of a process. Opening it can be dear (etcd v2 hands out its whole tree,
 * and rules may have it sorted), so it is opened once, and again only when the store dropped the state that it shows.
 */
import { isKeyferryError, type StoreView } from '@keyferry/core';

export class SharedView {
  private readonly open: () => Promise<StoreView>;
  /** Null until somebody asks for it. */
  private current: Promise<StoreView> | null;
  /** Views that a later one took the place of. Other workers may still read them, so they stay open to the end. */
  private readonly outdated: StoreView[] = [];

  constructor(open: () => Promise<StoreView>, first: StoreView | null) {
    this.open = open;
    this.current = first === null ? null : Promise.resolve(first);
  }

  view(): Promise<StoreView> {
    this.current ??= this.open();
    this.current.catch(() => undefined); // whoever awaits it gets the failure
    return this.current;
  }

  /** A later view in place of `failed`, if nobody has opened one yet. Rethrows what a new view cannot cure. */
  async renew(failed: StoreView, error: unknown): Promise<void> {
    if (!isKeyferryError(error, 'store.position-compacted')) throw error;
    if ((await this.current) === failed && !this.outdated.includes(failed)) {
      this.outdated.push(failed);
      this.current = null;
    }
    await this.view();
  }

  /** Whoever asks from now on gets a view of now; those who read the one before go on with it. */
  async renewAll(): Promise<void> {
    const before = (await this.current?.catch(() => null)) ?? null;
    if (before !== null) this.outdated.push(before);
    this.current = null;
  }

  async close(): Promise<void> {
    const view = (await this.current?.catch(() => null)) ?? null; // a view that never opened needs no closing
    const open = view === null ? this.outdated : [view, ...this.outdated];
    await Promise.all(open.map((each) => each.close()));
  }
}
