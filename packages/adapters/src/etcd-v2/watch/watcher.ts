/**
 * Watches a directory of etcd v2 with all below it, from an index on, over cut connections: each event once, in order.
 *
 *     read ──► (connect to the next member) ──► events, and how far they go
 *                 ▲                                 │ cut off, or a member that stands still while the store moves
 *                 └─────────────────────────────────┘
 *
 * The store keeps its last 1,000 events, of all keys together. Who falls further behind has lost its place, and is told so.
 * No server says that it has nothing to tell; see watch-requests.ts for what stands in for that.
 */
import { KeyferryError, type Key, type StopSignal } from '@keyferry/core';
import type { HttpClient } from '../../http/client.ts';
import type { V2Event } from './event.ts';
import { WatchConnection } from './watch-connection.ts';

export interface V2WatchOptions {
  /** The store's name, for errors. */
  readonly store: string;
  readonly client: HttpClient;
  /** Watched with all below it; empty: the root. A hidden name in it is told of, one below it is not. */
  readonly directory: Key;
  /** Everything up to this index is known already. */
  readonly after: number;
  /** Index of the store, read through raft. */
  readonly head: () => Promise<number>;
}

export type V2WatchStep =
  | {
      readonly kind: 'events';
      readonly events: readonly V2Event[];
      /** Everything up to here was in this step or in those before. */
      readonly through: number;
    }
  /** What came after the last step is gone. Nothing more comes. */
  | { readonly kind: 'lost'; readonly why: string };

export interface V2WatchReadOptions {
  readonly eventsMax: number;
  /** How long to wait for a first event; 0: what the store holds now. */
  readonly waitMs: number;
  readonly signal?: StopSignal | undefined;
}

/** Whoever does not want to wait still waits for what the store has already, as long as a member may need to tell it. */
const patienceMs = 5000;
/** While nothing happens, how far silence reaches is asked so often. */
const progressPaceMs = 1000;
/** A member that has not told by then what the store had before is cut off from the others. */
const standstillMs = 15_000;

export class EtcdV2Watcher {
  private readonly options: V2WatchOptions;
  private at: number;
  private connection: WatchConnection | null = null;
  private lost: string | null = null;
  private turn = 0;
  private isBehindSinceMs: number | null = null;
  private closed = false;

  /** Connects with the first read. */
  constructor(options: V2WatchOptions) {
    this.options = options;
    this.at = options.after;
  }

  /**
   * The next events, or none if none came in time. One call at a time. Repeated reads reach every index that the store
   * had before.
   * @throws {KeyferryError} of the store. The next call goes on behind the last step.
   */
  async read({ eventsMax, waitMs, signal }: V2WatchReadOptions): Promise<V2WatchStep> {
    const interrupt = (): void => this.connection?.interrupt();
    signal?.addEventListener('abort', interrupt);
    try {
      const untilMs = performance.now() + waitMs;
      for (let tries = 1; ; tries += 1) {
        if (this.lost !== null) return { kind: 'lost', why: this.lost };
        const connection = (this.connection ??= await this.connect());
        const isStill = await this.wait(connection, untilMs, signal);
        const step = this.take(connection, eventsMax, isStill);
        if (step !== null) return step;
        this.turn += 1;
        if (tries > this.options.client.endpoints.length) throw this.failureOf(connection);
      }
    } finally {
      signal?.removeEventListener('abort', interrupt);
    }
  }

  close(): void {
    this.closed = true;
    this.disconnect();
  }

  /** Each member once, beginning with the one whose turn it is. */
  private async connect(): Promise<WatchConnection> {
    const { store, client, directory } = this.options;
    let failure: unknown;
    for (let tries = 0; tries < client.endpoints.length; tries += 1) {
      const endpoint = client.endpoints[this.turn % client.endpoints.length] ?? '';
      try {
        const connection = await WatchConnection.open({ store, client, endpoint, directory }, this.at);
        if (this.closed) connection.close();
        return connection;
      } catch (error) {
        failure ??= error;
        if (error instanceof KeyferryError && error.retry !== 'backoff') throw error;
        this.turn += 1;
      }
    }
    throw failure;
  }

  /**
   * Until an event is there, the connection has ended, or it is time; by then the member has told what the store had
   * when this began.
   * @returns whether the member stands still
   */
  private async wait(connection: WatchConnection, untilMs: number, signal: StopSignal | undefined): Promise<boolean> {
    if (!connection.isEmpty) return false;
    const startedMs = performance.now();
    const goal = await this.options.head();
    if (goal < this.at) {
      this.lost = `the store is at index ${goal} and was at ${this.at} before: it was put back, or is another one`;
      return false;
    }
    let askedAtMs = Number.NEGATIVE_INFINITY;
    for (;;) {
      if (!connection.isEmpty || connection.ended !== null || signal?.aborted === true) return false;
      const nowMs = performance.now();
      const isTold = connection.through >= goal;
      this.isBehindSinceMs = isTold ? null : (this.isBehindSinceMs ?? nowMs);
      if (this.isBehindSinceMs !== null && nowMs - this.isBehindSinceMs > standstillMs) return true;
      const endMs = isTold ? untilMs : Math.max(untilMs, startedMs + patienceMs);
      if (nowMs >= endMs) return false;
      if (!isTold && nowMs - askedAtMs >= progressPaceMs) {
        askedAtMs = nowMs;
        connection.askProgress();
      }
      await connection.changed(Math.min(endMs - nowMs, progressPaceMs));
    }
  }

  /** Null: there is nothing, and another connection has to be made. */
  private take(connection: WatchConnection, eventsMax: number, isStill: boolean): V2WatchStep | null {
    if (this.lost !== null) return { kind: 'lost', why: this.lost };
    const events = connection.next(eventsMax);
    const last = events.at(-1);
    if (last !== undefined || connection.through > this.at) {
      this.at = connection.isEmpty || last === undefined ? connection.through : last.index;
      if (connection.isEmpty && connection.ended !== null && 'error' in connection.ended) this.disconnect();
      this.isBehindSinceMs = null;
      return { kind: 'events', events, through: this.at };
    }
    const { ended } = connection;
    if (ended === null && !isStill) return { kind: 'events', events, through: this.at };
    this.disconnect();
    if (ended !== null && 'lost' in ended) {
      this.lost = `what followed index ${this.at} is no longer among the last events that the store keeps: ${ended.lost}`;
      return { kind: 'lost', why: this.lost };
    }
    return null;
  }

  private failureOf({ ended, endpoint }: WatchConnection): unknown {
    if (ended !== null && 'error' in ended && ended.error !== null) return ended.error;
    const why = ended === null ? 'does not come up to where the others are' : 'ends its watches as soon as they begin';
    return new KeyferryError('store.unreachable', { store: this.options.store, detail: `${endpoint} ${why}` });
  }

  private disconnect(): void {
    this.connection?.close();
    this.connection = null;
  }
}
