/**
 * Drain: on the way back, what applications did in the target since is done in the source, under `draining`, while nobody
 * writes either store.
 *
 *     whole scan of both ─► for each record or tombstone of an application's: guarded write in the source ─► until a scan
 *                                                                                        finds nothing to do any more
 *
 * It needs no feed: the target stands still, holds each key's last word, and knows what backfill copied by its origin. What
 * the source says already is left alone, so a drain that died is simply begun again. Each write is conditional on the
 * version that was scanned. One whose answer was lost may still arrive, and must not do so once applications write the
 * source again: then the drain waits for as long as a request can live. So it does where an earlier run may have died over it,
 * and whoever sends one is certain of its lock: what slept past that is no longer outlived by anybody (SPEC R27).
 */
import {
  carryBack,
  KeyferryError,
  keyForDisplay,
  prefixRange,
  type CarryBack,
  type Key,
  type MigrationSpec,
  type OnlineSourceAnswer,
  type StoredRecord,
  type StopSignal,
  type Write,
} from '@keyferry/core';
import { openImage } from '../../image.ts';
import type { RunLock } from '../../lock.ts';
import { assertNotStopped, type Engine } from '../../migration.ts';
import { withRetry } from '../../retry.ts';
import { joinOnline, type JoinedKey } from './online-join.ts';
import type { OnlineParts } from './online.ts';

/** What was done in the source. */
export interface Drained {
  readonly put: number;
  readonly deleted: number;
}

const requestsAtOnce = 8;
/** Two whole seconds of each store's rounding, and a request between them. */
const expirySkewMs = 5000;
/** Passes over both stores: the second finds nothing, unless answers were lost or somebody writes behind everybody's back. */
const passesMax = 5;
const keysNamed = 20;

export interface DrainRun {
  readonly lock: Pick<RunLock, 'untilCertain'>;
  /** An earlier run may have begun to drain, and requests of it may be under way. */
  readonly takenOver: boolean;
  readonly signal: StopSignal;
}

/** @throws {KeyferryError} `source.stray-write` when the source does not come to rest; `run.interrupted`; `lease.lost` */
export async function drain(engine: Engine, spec: MigrationSpec, parts: OnlineParts, run: DrainRun): Promise<Drained> {
  const work = new Drain(engine, spec, parts, run);
  for (let pass = 1; ; pass += 1) {
    const left = await work.pass();
    if (left.length === 0) return work.done;
    if (pass === passesMax) {
      const { migration } = spec;
      const keys = left.slice(0, keysNamed).map((key) => keyForDisplay(key));
      throw new KeyferryError('source.stray-write', { migration, keys, total: left.length, frozenAt: 'the drain' });
    }
  }
}

interface Pending {
  readonly key: Key;
  readonly source: StoredRecord | null;
  readonly step: CarryBack;
}

class Drain {
  done: Drained = { put: 0, deleted: 0 };
  private readonly engine: Engine;
  private readonly spec: MigrationSpec;
  private readonly parts: OnlineParts;
  private readonly run: DrainRun;
  /** By the monotonic clock: the last request whose outcome is not known. */
  private unknownAtMs: number | null;

  constructor(engine: Engine, spec: MigrationSpec, parts: OnlineParts, run: DrainRun) {
    this.engine = engine;
    this.spec = spec;
    this.parts = parts;
    this.run = run;
    this.unknownAtMs = run.takenOver ? engine.clock.monotonicMs() : null;
  }

  /** @returns the keys at which there was something to do */
  async pass(): Promise<readonly Key[]> {
    const { engine, spec, parts } = this;
    const { signal } = this.run;
    const touched: Key[] = [];
    const view = await openImage(engine, spec, signal);
    try {
      for await (const page of joinOnline(engine, prefixRange(spec.rule.sourcePrefix), parts, view, signal)) {
        const pending = await this.pendingOf(page);
        for (let at = 0; at < pending.length; at += requestsAtOnce) {
          assertNotStopped(spec.migration, signal);
          await allEnded(pending.slice(at, at + requestsAtOnce).map((each) => this.carry(each)));
        }
        touched.push(...pending.map(({ key }) => key));
        if (pending.length > 0) engine.host.emit({ code: 'drain.progress', data: this.done });
      }
    } finally {
      await view.close();
    }
    await this.outliveRequests();
    return touched;
  }

  /** An application's word, as the target has it now, and what that asks of the source. */
  private async pendingOf(page: readonly JoinedKey[]): Promise<readonly Pending[]> {
    const { engine } = this;
    const { batchKeysMax } = engine.target.capabilities;
    const spoken = page.filter(({ target }) => target !== null && (target.record?.copiedFrom ?? null) === null);
    const pending: Pending[] = [];
    for (let at = 0; at < spoken.length; at += batchKeysMax) {
      const part = spoken.slice(at, at + batchKeysMax);
      const keys = part.map(({ key }) => key);
      // The list knows no expiry; records of a key with a tombstone alone are null here too.
      const records = await withRetry(engine, 'look up', () => engine.target.lookUp(keys));
      const terms = { nowMs: engine.clock.nowMs(), skewMs: expirySkewMs };
      for (const [i, { key, source }] of part.entries()) {
        const step = carryBack(source, records[i] ?? null, terms);
        if (step !== null) pending.push({ key, source, step });
      }
    }
    return pending;
  }

  private async carry({ key, source, step }: Pending): Promise<void> {
    const write: Write<Uint8Array> = step.kind === 'delete' ? { kind: 'delete' } : step;
    const expect = source === null ? ('absent' as const) : { version: source.version };
    // Unmet: an earlier try was applied after all, or somebody writes behind everybody's back. The next pass looks.
    const answer = await this.ask(key, { kind: 'write', write, expect });
    if (answer.kind !== 'written') return;
    const { put, deleted } = this.done;
    this.done = step.kind === 'put' ? { put: put + 1, deleted } : { put, deleted: deleted + 1 };
  }

  private async ask(key: Key, request: Parameters<OnlineParts['source']['ask']>[1]): Promise<OnlineSourceAnswer> {
    const { source } = this.parts;
    const { lock, signal } = this.run;
    return await withRetry(
      this.engine,
      'write source',
      async () => {
        await lock.untilCertain(signal);
        try {
          return await source.ask(key, request);
        } catch (error) {
          this.unknownAtMs = this.engine.clock.monotonicMs();
          throw error;
        }
      },
      signal,
    );
  }

  private async outliveRequests(): Promise<void> {
    if (this.unknownAtMs === null) return;
    const { clock } = this.engine;
    const { signal } = this.run;
    const untilMs = this.unknownAtMs + this.parts.terms.requestLifeMs;
    while (clock.monotonicMs() <= untilMs) {
      assertNotStopped(this.spec.migration, signal);
      await clock.sleep(untilMs - clock.monotonicMs() + 1, signal);
    }
    this.unknownAtMs = null;
  }
}

/** As `Promise.all`, but none of them goes on once it is over. */
async function allEnded(work: readonly Promise<void>[]): Promise<void> {
  for (const result of await Promise.allSettled(work)) if (result.status === 'rejected') throw result.reason;
}
