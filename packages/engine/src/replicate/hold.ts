/**
 * A hold: the time in which applications write nowhere, driven step by step as core says (machines/online/cutover.ts).
 *
 * Everything that takes long was done before it: the other store is nearly caught up, and both are proven equal but for
 * what has changed since. So a hold takes until everybody who is registered has acknowledged it, or else the life of a
 * request; then what is left to drain, and a look at the keys that moved.
 * However it ends, it ends by one compare-and-set on the switch; a run that dies in it is followed by one that undoes it.
 */
import {
  acknowledgedBy,
  afterHoldEvent,
  cutoverStep,
  imageRule,
  instantText,
  KeyferryError,
  nothingKnown,
  otherSide,
  primaryStanding,
  toSourceKey,
  writersAreStill,
  type Barrier,
  type CutoverFacts,
  type CutoverRules,
  type HoldEvent,
  type HoldProof,
  type Key,
  type MigrationSpec,
  type MigrationState,
  type Missing,
  type Position,
  type PrimaryRecord,
  type PrimarySide,
  type StateVersion,
  type SwitchEpoch,
  type SwitchEntry,
  type TailChange,
  type UndoReason,
} from '@keyferry/core';
import type { Engine } from '../migration.ts';
import { imageOf } from '../image-records.ts';
import { withRetry } from '../retry.ts';
import type { Session } from '../session.ts';
import { claimTail, ensureEpochOf, portsOf, routeTo } from './direction.ts';
import type { Instances } from './instances.ts';
import { changedSince } from './changed-since.ts';
import { CutoverItem } from './cutover-item.ts';
import { keysIn } from './range-deletes.ts';
import { readBothSides } from './side-by-side.ts';
import type { Tail } from './tail.ts';

/** One read of the feed while nothing is to come; while instances are waited for, between two looks at them. */
const lookMs = 100;
const callMs = 10;

export interface HoldParts {
  readonly engine: Engine;
  readonly spec: MigrationSpec;
  readonly session: Session;
  /** The tail that fills the store that is to be primary. */
  readonly tail: Tail;
  readonly to: PrimarySide;
  readonly kept: ReadonlySet<Key>;
  /** Target keys whose records end in the store that is primary now. */
  readonly expiring: ReadonlySet<Key>;
  readonly rules: CutoverRules;
  readonly instances: Instances;
  /** As the roll call before it said. */
  readonly proof: HoldProof;
}

export interface HoldEnd {
  readonly outcome: 'flipped' | 'undone';
  readonly why: UndoReason | null;
  readonly heldMs: number;
  readonly compared: number;
  /** The first keys that differed. */
  readonly differing: readonly Key[];
  /** Instances that did not acknowledge it. */
  readonly missing: readonly Missing[];
}

export class Hold {
  private readonly parts: HoldParts;
  private readonly item: CutoverItem;
  private entry: SwitchEntry<PrimaryRecord> | null;
  private known = nothingKnown;
  private heldAtMs: number | null = null;
  private ourEpoch: SwitchEpoch | null = null;
  /** Announced by this run last, whatever became of it. */
  private sent: PrimaryRecord | null = null;
  private barrier: Barrier | null = null;
  private from: Position | null = null;
  private anchor: Position | null = null;
  private comparedCount = 0;
  private differing: readonly Key[] = [];

  constructor(parts: HoldParts, entry: SwitchEntry<PrimaryRecord> | null) {
    this.parts = parts;
    this.entry = entry;
    this.item = new CutoverItem(parts);
  }

  /**
   * Runs to the flip, or to its undoing.
   * @throws {KeyferryError} `switch.taken` when somebody else moved the switch; `fence.lost`, `state.conflict` when another run
   *   took its place; what a store fails with. Writes are then still held (`giveUp`).
   */
  async run(): Promise<HoldEnd> {
    for (;;) {
      const step = cutoverStep(this.facts(), this.parts.rules);
      this.parts.engine.host.emit({ code: 'cutover.step', data: { step: step.kind } });
      switch (step.kind) {
        case 'done':
          return await this.end('flipped', null);
        case 'undo':
          // As it is: a run that slept may find the hold of a later command, and that one's way may be the other one.
          await this.announce({ ...this.facts().announced, writes: 'open' });
          return await this.end('undone', step.why);
        case 'hold':
          await this.hold();
          break;
        case 'wait':
          await this.lookForChanges(this.parts.proof === 'silence' ? lookMs : callMs);
          break;
        case 'drain':
          await this.drain();
          break;
        case 'compare':
          await this.compare();
          break;
        case 'grant':
          await this.grant();
          break;
        case 'fence':
          await this.fence();
          break;
        case 'anchor':
          await this.setAnchor();
          break;
        case 'flip':
          if (await this.isStillQuiet()) await this.announce({ primary: this.parts.to, writes: 'open' });
      }
    }
  }

  /**
   * After a failure: ends the hold, if it is still this run's; as long as that fails too, the next run does it. Nobody may be
   * left to: a run that slept may hold writes when another one has taken the migration back.
   * @returns null unless it is certain that nobody is held by this run any more, nor led over by it
   */
  async giveUp(): Promise<HoldEnd | null> {
    await this.findSent().catch(() => undefined);
    const { announced, isOurs } = this.facts();
    try {
      if (isOurs && announced.writes === 'held') await this.announce({ ...announced, writes: 'open' });
      const { primary, writes } = this.facts().announced;
      if (!this.isSent(this.entry) || writes === 'held' || primary === this.parts.to) return null;
      return await this.end('undone', 'failed');
    } catch {
      return null; // what came before is what counts
    }
  }

  /** An announcement may have taken effect although no try of it was answered. */
  private async findSent(): Promise<void> {
    if (this.sent === null || this.isSent(this.entry)) return;
    const { engine } = this.parts;
    const { primary } = portsOf(engine);
    const current = await withRetry(engine, 'read switch', () => primary.read());
    if (this.isSent(current)) this.entry = current;
  }

  private isSent(entry: SwitchEntry<PrimaryRecord> | null): boolean {
    if (entry === null || this.sent === null) return false;
    const { migration, epoch, announcedAt } = this.sent;
    const { value } = entry;
    return value.migration === migration && value.epoch === epoch && value.announcedAt === announcedAt;
  }

  private facts(): CutoverFacts {
    const { to, engine, spec } = this.parts;
    const record = this.entry?.value ?? null;
    const heldMs = this.heldAtMs === null ? 0 : engine.clock.monotonicMs() - this.heldAtMs;
    const isOurs = record !== null && record.epoch === this.ourEpoch;
    const pastDeadline = heldMs > (spec.replicate?.pauseMaxMs ?? 0);
    const announced = primaryStanding(record);
    return { to, announced, isOurs, pastDeadline, acknowledged: acknowledgedBy(this.barrier), ...this.known };
  }

  private came(event: HoldEvent): void {
    this.known = afterHoldEvent(this.known, event);
  }

  private async hold(): Promise<void> {
    const { engine, spec, to, proof } = this.parts;
    const pauseMaxMs = spec.replicate?.pauseMaxMs ?? 0;
    this.ourEpoch = ((this.entry?.value.epoch ?? 0) + 1) as SwitchEpoch;
    this.known = nothingKnown;
    await this.item.write({ epoch: this.ourEpoch, heldAtMs: engine.clock.nowMs(), proof });
    // Counted from before the request: applications may hold their writes from then on.
    this.heldAtMs = engine.clock.monotonicMs();
    await this.announce({ primary: otherSide(to), writes: 'held' });
    engine.host.emit({ code: 'cutover.held', data: { epoch: this.ourEpoch, pauseMaxMs, proof } });
  }

  /** Carries what is still coming, until nobody who may write still can: all have acknowledged, or nothing has come. */
  private async lookForChanges(waitMs: number): Promise<void> {
    const { engine, tail, spec, rules, proof } = this.parts;
    const { clock } = engine;
    const readAtMs = clock.monotonicMs();
    const step = await this.step(waitMs);
    if (step === 'lost') return;
    await this.lookForInstances();
    const since = Math.max(this.heldAtMs ?? 0, tail.lastChangeAtMs ?? 0);
    const requestLifeMs = spec.replicate?.requestLifeMs ?? 0;
    const { barrier } = this;
    // By when this look began: what came after it is the next one's to find.
    const isStill = writersAreStill({ proof, barrier, silentForMs: readAtMs - since, requestLifeMs }, rules);
    this.came({ kind: 'looked', isStill });
    const spentMs = clock.monotonicMs() - readAtMs;
    if (!this.known.isQuiet && step === 'idle' && spentMs < waitMs) await clock.sleep(waitMs - spentMs);
  }

  private async lookForInstances(): Promise<void> {
    const { engine, instances, proof } = this.parts;
    const { ourEpoch, heldAtMs } = this;
    if (proof === 'silence' || ourEpoch === null || this.barrier?.kind === 'held') return;
    this.barrier = await instances.barrier(ourEpoch);
    if (this.barrier.kind !== 'held') return;
    const afterMs = engine.clock.monotonicMs() - (heldAtMs ?? 0);
    engine.host.emit({ code: 'cutover.acknowledged', data: { afterMs } });
  }

  private async step(waitMs: number): Promise<'moved' | 'idle' | 'lost'> {
    const { engine, tail } = this.parts;
    const expand = (range: Parameters<typeof keysIn>[2]) => keysIn(engine, tail.route.written, range);
    const step = await tail.step(waitMs, expand);
    if (step.kind === 'lost') this.came({ kind: 'lost' });
    return step.kind;
  }

  private async drain(): Promise<void> {
    const { engine, tail, spec, proof } = this.parts;
    const before = tail.lastChangeAtMs;
    const head = await withRetry(engine, 'head of feed', () => tail.route.feed.head());
    const deadlineMs = (this.heldAtMs ?? 0) + (spec.replicate?.pauseMaxMs ?? 0);
    while (!tail.hasReached(head)) {
      if (engine.clock.monotonicMs() > deadlineMs) return; // the deadline is the next step's
      const step = await this.step(lookMs);
      if (step === 'lost') return;
      if (step === 'idle') await engine.clock.sleep(1);
    }
    this.from = head;
    this.came({ kind: 'drained', proof, hasMoved: tail.lastChangeAtMs !== before });
  }

  private async compare(): Promise<void> {
    const { engine, spec, tail, kept } = this.parts;
    const { touched } = tail;
    if (touched === null) {
      this.came({ kind: 'lost' });
      return;
    }
    const keys = [...touched].filter((key) => !kept.has(key) && spec.inScope(key));
    const sides = await readBothSides(engine, spec, keys);
    this.comparedCount = keys.length;
    this.differing = sides.filter(({ isEqual }) => !isEqual).map(({ targetKey }) => targetKey);
    this.came({ kind: 'compared', isEqual: this.differing.length === 0 });
  }

  /** Records that end get their ends, as they are now (SPEC R41). */
  private async grant(): Promise<void> {
    const { engine, spec, tail, to, expiring, kept } = this.parts;
    const keys = [...expiring, ...tail.expiring].filter((key) => !kept.has(key) && spec.inScope(key));
    if (tail.route.written.capabilities.expiry && keys.length > 0) {
      const { rule } = imageRule(spec);
      const changes: TailChange[] = [];
      for (const { targetKey, source, target } of await readBothSides(engine, spec, new Set(keys))) {
        if (source === null || target === null) continue;
        if (to === 'target' && source.expiresAtMs !== null) {
          const image = imageOf(source, spec);
          if (image.kind !== 'kept') continue;
          const { value, expiresAtMs } = image.record;
          changes.push({ kind: 'put', key: targetKey, value, expiresAtMs });
        } else if (to === 'source' && target.expiresAtMs !== null) {
          const { expiresAtMs } = target;
          changes.push({ kind: 'put', key: toSourceKey(rule, targetKey), value: source.value, expiresAtMs });
        }
      }
      await tail.applyAll(changes, null);
    }
    this.came({ kind: 'granted' });
  }

  /** One epoch up in the store that was filled: its tail, and whatever else of the migration wrote there, can write no more. */
  private async fence(): Promise<void> {
    const { engine, spec, session, to, tail } = this.parts;
    await tail.end();
    const state = session.state as MigrationState;
    const epoch = { attempt: state.attempt, token: state.epochToken + 1 };
    await session.write({ ...state, epochToken: epoch.token, changedAtMs: engine.clock.nowMs() });
    await ensureEpochOf(engine, spec, to, epoch);
    this.came({ kind: 'fenced' });
  }

  /** Where the tail the other way begins: before any application can write to the store that is to be primary. */
  private async setAnchor(): Promise<void> {
    const { engine, spec, session, to, kept } = this.parts;
    const store = to === 'target' ? engine.target : engine.source;
    const { feed } = store;
    if (feed !== undefined) this.anchor = await withRetry(engine, 'head of feed', () => feed.head());
    if (to === 'target' && this.anchor !== null) {
      const route = routeTo('source', engine, spec, kept);
      const reverse = await claimTail(engine, spec, session, route, { position: this.anchor, always: true });
      await reverse.end();
    }
    await this.item.write({ from: this.from, anchor: this.anchor, compared: this.comparedCount });
    this.came({ kind: 'anchored' });
  }

  /** Nothing changed since it was drained: one more look, that carries nothing. */
  private async isStillQuiet(): Promise<boolean> {
    const { engine, tail, rules } = this.parts;
    if (!rules.quiet) return true;
    const { keys, ranges } = await changedSince(engine, tail, tail.position);
    if (keys.length + ranges.length === 0) return true;
    this.came({ kind: 'moved' });
    return false;
  }

  /** Compare-and-set on what was last seen. An answer that was lost is found by reading. */
  private async announce(next: Pick<PrimaryRecord, 'primary' | 'writes'>): Promise<void> {
    const { engine, spec } = this.parts;
    const { primary } = portsOf(engine);
    const { clock } = engine;
    const following = ((this.entry?.value.epoch ?? 0) + 1) as SwitchEpoch;
    const epoch = next.writes === 'held' ? (this.ourEpoch ?? following) : following;
    const deadlineAt = next.writes === 'held' ? instantText(clock.nowMs() + (spec.replicate?.pauseMaxMs ?? 0)) : null;
    const { migration } = spec;
    const record: PrimaryRecord = { migration, epoch, ...next, announcedAt: instantText(clock.nowMs()), deadlineAt };
    this.sent = record;
    const expected: StateVersion | string = this.entry?.version ?? 'absent';
    const outcome = await withRetry(engine, 'write switch', () =>
      primary.write(record, expected as Parameters<typeof primary.write>[1]),
    );
    if (outcome.kind === 'written') {
      this.entry = { value: record, version: outcome.version };
      return;
    }
    const { current } = outcome;
    if (!this.isSent(current)) {
      const { primary: where, writes } = primaryStanding(current?.value ?? null);
      const now = `${where} is primary, writes are ${writes}`;
      throw new KeyferryError('switch.taken', { where: primary.where, migration, now });
    }
    this.entry = current;
    await withRetry(engine, 'tell switch', () => primary.tell(record));
  }

  private async end(outcome: HoldEnd['outcome'], why: UndoReason | null): Promise<HoldEnd> {
    const { engine } = this.parts;
    const heldMs = this.heldAtMs === null ? 0 : engine.clock.monotonicMs() - this.heldAtMs;
    const missing = this.barrier?.kind === 'waiting' ? this.barrier.on : [];
    await this.item.write({ outcome, undoneWhy: why, endedAtMs: engine.clock.nowMs(), missing });
    engine.host.emit({ code: 'cutover.ended', data: { outcome, heldMs, why } });
    return { outcome, why, heldMs, compared: this.comparedCount, differing: this.differing, missing };
  }
}
