/**
 * One view of the source for all workers of a process. Opening a view can be dear (etcd v2 hands out its whole tree),
 * so it is opened once, and again only when the store dropped the state that it shows.
 */
import { isKeyferryError, type KeyRange, type SourceStore, type StoreView } from '@keyferry/core';
import type { Environment } from './migration.ts';
import { withRetry } from './retry.ts';

export class SharedView {
  private readonly env: Environment;
  private readonly source: SourceStore;
  private readonly range: KeyRange;
  private current: Promise<StoreView>;
  /** Views that a later one took the place of. Other workers may still read them, so they stay open to the end. */
  private readonly outdated: StoreView[] = [];

  constructor(env: Environment, source: SourceStore, range: KeyRange, first: StoreView | null) {
    this.env = env;
    this.source = source;
    this.range = range;
    this.current = first === null ? this.open() : Promise.resolve(first);
    this.current.catch(() => undefined); // whoever calls `view` gets the failure
  }

  view(): Promise<StoreView> {
    return this.current;
  }

  /** A later view in place of `failed`, if nobody has opened one yet. Rethrows what a new view cannot cure. */
  async renew(failed: StoreView, error: unknown): Promise<void> {
    if (!isKeyferryError(error, 'store.position-compacted')) throw error;
    if ((await this.current) === failed && !this.outdated.includes(failed)) {
      this.outdated.push(failed);
      this.current = this.open();
      this.current.catch(() => undefined); // as above
    }
    await this.current;
  }

  async close(): Promise<void> {
    const view = await this.current.catch(() => null); // a view that never opened needs no closing
    const open = view === null ? this.outdated : [view, ...this.outdated];
    await Promise.all(open.map((each) => each.close()));
  }

  private open(): Promise<StoreView> {
    return withRetry(this.env, 'open source', () => this.source.openView(this.range));
  }
}
