/**
 * A tail: one owner that carries the changes of one store into another, in their order.
 *
 *     claim ─► read a step ─► what the route makes of it, each key once ─► apply, with the position ─► read …
 *
 * Owning is twofold, as with chunks: a lease in the state chooses who tries, the fence in the store that is written
 * decides who can (SPEC R40). The position moves with the changes or behind them (R39). Within a step only the last change
 * of a key is carried, in the place of that one: states in between were never promised to anybody.
 */
import {
  compareFences,
  KeyferryError,
  keyForDisplay,
  keyFromJson,
  keyToJson,
  nextToken,
  noTailCounts,
  recordBytes,
  tailIsHeld,
  type Fence,
  type Generation,
  type Key,
  type KeyRange,
  type MigrationId,
  type OpenFeed,
  type Position,
  type RefusedChange,
  type RunId,
  type SourceChange,
  type StateVersion,
  type StopSignal,
  type TailChange,
  type TailClaim,
  type TailCounts,
  type TailDiffers,
  type TailState,
  type TailWriter,
} from '@keyferry/core';
import { assertSameEpoch } from '../epoch.ts';
import type { Environment } from '../migration.ts';
import { withRetry } from '../retry.ts';
import { readItem, writeItem } from '../state-items.ts';
import { LagMeter } from './lag.ts';
import type { TailRoute } from './route.ts';

export const tailLeaseMs = 20_000;
/** Changes that one read asks for. */
const changesMax = 1000;
/** A position that moved although nothing did in the range is stored this often: it saves reading, and no more. */
const storeIdleEveryMs = 5000;
const refusedNamed = 20;
const refusedMax = 1000;
/** Keys that are remembered as changed since a comparison; more than that, and all is compared anew. */
const touchedMax = 50_000;

export interface TailFacts {
  readonly migration: MigrationId;
  readonly attempt: number;
  /** Of the store that is written. */
  readonly epoch: Fence;
  readonly run: RunId;
  /** Where its item lies. */
  readonly scope: string;
  /** Runs that are known to be gone: their leases need not be waited for. */
  readonly deadRuns: ReadonlySet<RunId>;
}

export type StepEnd = { readonly kind: 'moved' | 'idle' } | { readonly kind: 'lost'; readonly why: string };

export class Tail {
  readonly route: TailRoute;
  readonly lag: LagMeter;
  /** Target keys that were carried since somebody emptied it; null: too many to remember. */
  touched: Set<Key> | null = new Set();
  /** Target keys whose records end in the store that is read, as far as changes told. */
  readonly expiring = new Set<Key>();
  /** By the own monotonic clock: when the last change of the range was read; null: none was. */
  lastChangeAtMs: number | null = null;
  position: Position;
  private readonly env: Environment;
  private readonly facts: TailFacts;
  private readonly writer: TailWriter;
  private readonly refused = new Map<Key, string>();
  private item: TailState;
  private version: StateVersion;
  private renewedAtMs: number;
  private storedAtMs: number;
  private stored: Position;
  private open: OpenFeed | null = null;

  private constructor(
    env: Environment,
    route: TailRoute,
    facts: TailFacts,
    writer: TailWriter,
    position: Position,
    entry: { readonly item: TailState; readonly version: StateVersion },
  ) {
    this.env = env;
    this.route = route;
    this.facts = facts;
    this.writer = writer;
    this.position = position;
    this.stored = position;
    this.item = entry.item;
    this.version = entry.version;
    this.renewedAtMs = env.clock.monotonicMs();
    this.storedAtMs = this.renewedAtMs;
    this.lag = new LagMeter(env, route.feed);
    for (const { key, reason } of entry.item.refused) this.refused.set(keyFromJson(key), reason);
  }

  /**
   * Takes the tail over. It goes on from the position that the written store holds, or from `from` where that is given
   * or none is held.
   * @throws {KeyferryError} `tail.held`, `epoch.lost`
   */
  static async claim(
    env: Environment,
    route: TailRoute,
    facts: TailFacts,
    from: { readonly position: Position; readonly always: boolean },
  ): Promise<Tail> {
    const { item, version } = await takeLease(env, route, facts);
    for (let { token } = item; ; token += 1) {
      const fence = { attempt: facts.attempt, token };
      const claim = await withRetry(env, 'claim tail', () => route.into.claimTail(route.tail, fence, facts.epoch));
      if (claim.kind === 'refused') {
        assertClaimable(facts, fence, claim);
        continue; // an answer of our own was lost, or the state was older than the store: one more
      }
      const position = from.always ? from.position : (claim.position ?? from.position);
      const tail = new Tail(env, route, facts, claim.writer, position, { item: { ...item, token }, version });
      if (position !== claim.position) await tail.apply([], position);
      await tail.renew();
      return tail;
    }
  }

  get counts(): TailCounts {
    return this.item.counts;
  }

  get refusedTotal(): number {
    return this.refused.size;
  }

  get refusedFirst(): readonly RefusedChange[] {
    return [...this.refused].slice(0, refusedNamed).map(([key, reason]) => ({ key: keyToJson(key), reason }));
  }

  get generation(): Generation | null {
    return this.item.generation;
  }

  /** Kept in the state with the next renewal. */
  set generation(generation: Generation | null) {
    this.item = { ...this.item, generation, differs: null };
  }

  /** Likewise. */
  set differs(differs: TailDiffers) {
    this.item = { ...this.item, differs };
  }

  /** Whether everything up to `mark` is in the store that is written. */
  hasReached(mark: Position): boolean {
    return this.route.feed.hasReached(this.position, mark);
  }

  /**
   * Carries the next step of changes, waiting up to `waitMs` for one.
   * @throws {KeyferryError} `fence.lost` when another owner or a higher epoch is there; `tail.too-many-refused`
   */
  async step(
    waitMs: number,
    expand: (range: KeyRange) => Promise<readonly Key[]>,
    signal?: StopSignal,
  ): Promise<StepEnd> {
    const { env, route } = this;
    await this.keepLease();
    this.open ??= await withRetry(env, 'open feed', () => route.feed.open(route.range, this.position), signal);
    const { open } = this;
    const step = await withRetry(env, 'read feed', () => open.read({ changesMax, waitMs, signal }), signal);
    if (step.kind === 'lost') {
      await this.closeFeed();
      return step;
    }
    if (step.changes.length > 0) this.lastChangeAtMs = env.clock.monotonicMs();
    await this.carry(step.changes, step.position, expand);
    const moved = step.position !== this.position;
    this.position = step.position;
    this.lag.reached(step.position);
    return { kind: moved ? 'moved' : 'idle' };
  }

  /** In place of steps, after a comparison: all of it, then the position. */
  async applyAll(changes: readonly TailChange[], position: Position | null): Promise<void> {
    const parts = this.partsOf(changes);
    for (const [i, part] of parts.entries()) {
      await this.apply(part, i === parts.length - 1 ? position : null);
      await this.keepLease();
    }
    if (parts.length === 0 && position !== null) await this.apply([], position);
    if (position === null) return;
    await this.closeFeed();
    this.position = position;
  }

  count(added: Partial<TailCounts>): void {
    const counts = { ...this.item.counts };
    for (const [what, count] of Object.entries(added)) counts[what as keyof TailCounts] += count;
    this.item = { ...this.item, counts };
  }

  /** Stores the position as it is, says so in the state, and gives the lease back. */
  async end(): Promise<void> {
    await this.closeFeed();
    if (this.position !== this.stored) await this.apply([], this.position);
    await this.write({ leaseEndsAtMs: 0 });
  }

  /**
   * After a failure: gives the lease back as it is, if it still is this run's. What was sent last may happen later, until
   * the next owner's claim shuts it out.
   */
  async giveUp(): Promise<void> {
    try {
      await this.closeFeed();
      await this.write({ leaseEndsAtMs: 0 });
    } catch {
      // What came before is what counts; the lease ends by itself.
    }
  }

  private async closeFeed(): Promise<void> {
    const { open } = this;
    this.open = null;
    await open?.close();
  }

  private async carry(
    changes: readonly SourceChange[],
    position: Position,
    expand: (range: KeyRange) => Promise<readonly Key[]>,
  ): Promise<void> {
    const last = new Map<Key, TailChange>();
    for (const change of changes) {
      if (change.kind === 'delete-range') {
        // What came before it is carried first: it finds the keys that are there.
        await this.applyAll([...last.values()], null);
        last.clear();
        const range = this.route.writtenRange(change.range);
        const keys = range === null ? [] : await expand(range);
        this.count({ ranges: 1 });
        for (const key of keys) set(last, { kind: 'delete', key });
        continue;
      }
      const carried = this.route.carry(change);
      if (carried.kind === 'left-out') this.count({ leftOut: 1 });
      else if (carried.kind === 'refused') this.refuse(carried.key, carried.reason);
      else {
        set(last, carried.change);
        const targetKey = this.route.targetKeyOf(carried.change.key);
        if (change.kind === 'put' && change.expiresAtMs !== null) this.expiring.add(targetKey);
        else this.expiring.delete(targetKey);
      }
    }
    const parts = this.partsOf([...last.values()]);
    for (const [i, part] of parts.entries()) await this.apply(part, i === parts.length - 1 ? position : null);
    const idleForMs = this.env.clock.monotonicMs() - this.storedAtMs;
    if (parts.length === 0 && position !== this.stored && idleForMs >= storeIdleEveryMs) await this.apply([], position);
  }

  private partsOf(changes: readonly TailChange[]): readonly (readonly TailChange[])[] {
    const { batchBytesMax } = this.route.written.capabilities;
    const many = this.route.into.capabilities.changesMax;
    const parts: TailChange[][] = [];
    let bytes = 0;
    for (const change of changes) {
      const size = recordBytes(change);
      const part = parts.at(-1);
      if (part === undefined || part.length >= many || bytes + size > batchBytesMax) {
        parts.push([change]);
        bytes = size;
      } else {
        part.push(change);
        bytes += size;
      }
    }
    return parts;
  }

  private async apply(changes: readonly TailChange[], position: Position | null): Promise<void> {
    const outcomes = await withRetry(this.env, 'apply changes', () => this.writer.apply(changes, position));
    let [puts, deletes] = [0, 0];
    for (const [i, outcome] of outcomes.entries()) {
      const { key } = changes[i] as TailChange;
      this.touch(key);
      if (outcome.kind === 'refused') {
        this.refuse(key, outcome.detail);
        continue;
      }
      this.refused.delete(key);
      if (outcome.kind === 'written') puts += 1;
      else deletes += 1;
    }
    this.count({ puts, deletes });
    if (position === null) return;
    this.open?.confirm?.(position);
    this.stored = position;
    this.storedAtMs = this.env.clock.monotonicMs();
  }

  private touch(key: Key): void {
    if (this.touched === null) return;
    this.touched.add(this.route.targetKeyOf(key));
    if (this.touched.size > touchedMax) this.touched = null;
  }

  private refuse(key: Key, reason: string): void {
    this.touch(key);
    this.refused.set(key, reason);
    if (this.refused.size <= refusedMax) return;
    const { migration } = this.facts;
    const first = keyForDisplay([...this.refused.keys()][0] ?? key);
    throw new KeyferryError('tail.too-many-refused', { migration, count: this.refused.size, first });
  }

  private async keepLease(): Promise<void> {
    if (this.env.clock.monotonicMs() - this.renewedAtMs >= tailLeaseMs / 4) await this.renew();
  }

  /** Says in the state how far it is. @throws {KeyferryError} `fence.lost` when somebody else took the lease. */
  async renew(): Promise<void> {
    const atMs = this.env.clock.monotonicMs();
    await this.write({ leaseEndsAtMs: this.env.clock.nowMs() + tailLeaseMs });
    this.renewedAtMs = atMs;
  }

  private async write(lease: Pick<TailState, 'leaseEndsAtMs'>): Promise<void> {
    const { env, facts, route } = this;
    const item: TailState = {
      ...this.item,
      ...lease,
      position: this.position,
      lag: this.lag.value(this.position),
      refused: this.refusedFirst,
      refusedTotal: this.refusedTotal,
      changedAtMs: env.clock.nowMs(),
    };
    const change = await writeItem(env, 'tail', facts.scope, route.tail, item, this.version);
    if (change.kind === 'lost') throw new KeyferryError('fence.lost', { chunk: `the ${route.tail} tail` });
    [this.item, this.version] = [item, change.version];
  }
}

/** A key's last change, in the place of that one. */
function set(last: Map<Key, TailChange>, change: TailChange): void {
  last.delete(change.key);
  last.set(change.key, change);
}

async function takeLease(env: Environment, { tail, into }: TailRoute, facts: TailFacts) {
  const { scope, attempt, run, migration, deadRuns } = facts;
  for (;;) {
    const before = await readItem(env, 'tail', scope, tail);
    const held = before?.item ?? null;
    const nowMs = env.clock.nowMs();
    if (held !== null && held.run !== run && !deadRuns.has(held.run as RunId) && tailIsHeld(held, nowMs)) {
      throw new KeyferryError('tail.held', { migration, tail, run: held.run });
    }
    const inStore = await withRetry(env, 'read tail', () => into.readTail(tail));
    const item: TailState = {
      ...(held ?? { counts: noTailCounts, refused: [], refusedTotal: 0, generation: null, lag: null }),
      tail,
      attempt,
      token: nextToken(attempt, held?.token ?? 0, inStore?.fence ?? null),
      run,
      leaseEndsAtMs: nowMs + tailLeaseMs,
      position: inStore?.position ?? null,
      changedAtMs: nowMs,
    };
    const change = await writeItem(env, 'tail', scope, tail, item, before?.version ?? 'absent');
    if (change.kind === 'written') return { item, version: change.version };
  }
}

/** @throws {KeyferryError} `epoch.lost` when the store holds another epoch; `fence.lost` when a later attempt owns it */
function assertClaimable(
  { migration, epoch }: TailFacts,
  fence: Fence,
  refused: Extract<TailClaim, { readonly kind: 'refused' }>,
): void {
  assertSameEpoch(migration, epoch, refused.epoch);
  const { fence: held } = refused;
  if (held !== null && compareFences(held, fence) >= 0 && held.attempt === fence.attempt) return;
  throw new KeyferryError('fence.lost', { chunk: 'the tail' });
}
