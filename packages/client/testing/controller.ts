/**
 * A controller for tests of the client: it walks core's ladder on a Switch, waits for its barriers, copies and cleans up. The engine's own is another one; what both decide is core's `dualReadStep`.
 */
import {
  barrierAt,
  cannotWrite,
  dualReadStep,
  firstRung,
  indexOffsetAt,
  invariant,
  type Barrier,
  type Clock,
  type DualReadFacts,
  type DualReadGoal,
  type Key,
  type KeyRange,
  type MigrationId,
  type OnlineSource,
  type Position,
  type Rung,
  type Switch,
  type SwitchEpoch,
  type SwitchRecord,
  type Version,
} from '@keyferry/core';

/** As much of a target as it needs, beside what clients use. */
export interface ControlledTarget {
  readonly comparesSwitch: boolean;
  /** Puts a record where neither key nor tombstone is, with its origin. */
  copy(key: Key, value: Uint8Array, from: Version): void | Promise<void>;
  dropTombstones(): void | Promise<void>;
}

export interface ControllerOptions {
  readonly place: Switch;
  readonly source: OnlineSource;
  readonly target: ControlledTarget;
  readonly clock: Clock;
  readonly requestLifeMs: number;
  /** Of source and target, for watches and the index bridge. Default: neither is published. */
  readonly heads?: () => Promise<{ readonly source: Position; readonly target: Position }>;
  /** Gives a barrier up; asked once a look. */
  readonly givesUp?: () => boolean;
  /** For the canary: no barrier is waited for. */
  readonly waitsForNobody?: boolean;
}

const everything: KeyRange = { start: '' as Key, end: null };
const lookMs = 20;

export class Controller {
  private readonly options: ControllerOptions;
  private readonly done = { backfilled: false, verified: false, fenced: false, cleaned: false };

  constructor(options: ControllerOptions) {
    this.options = options;
  }

  /** Walks until the goal is reached or one of its barriers was given up. @returns whether it was reached */
  async walk(goal: Exclude<DualReadGoal, 'rollback'>): Promise<boolean> {
    const { clock, target } = this.options;
    for (;;) {
      const { rung, epoch, version, record } = await this.look();
      const barrier = await this.barrier(rung, epoch);
      const timedOut = barrier.kind === 'waiting' && this.options.givesUp?.() === true;
      const facts: DualReadFacts = { ...this.done, rung, barrier, timedOut, drained: true, cleared: false };
      const step = dualReadStep(goal, facts);
      switch (step.kind) {
        case 'announce':
        case 'give-up':
          await this.announce(step.rung, epoch, version, record);
          if (step.kind === 'give-up') return false;
          break;
        case 'backfill':
          await this.copyAll();
          this.done.backfilled = true;
          break;
        case 'verify':
          this.done.verified = true;
          break;
        case 'fence':
          this.done.fenced = true;
          break;
        case 'clean-up':
          await target.dropTombstones();
          this.done.cleaned = true;
          break;
        case 'wait':
          await clock.sleep(lookMs);
          break;
        case 'done':
          return true;
        case 'drain':
        case 'clear':
        case 'refused':
          invariant(false, `the controller of a test cannot ${step.kind}`);
      }
    }
  }

  private async look() {
    const entry = await this.options.place.read();
    const epoch = entry?.value.epoch ?? (0 as SwitchEpoch);
    const rung: Rung = entry?.value ?? firstRung;
    return { rung, epoch, version: entry?.version ?? ('absent' as const), record: entry?.value ?? null };
  }

  private async announce(
    rung: Rung,
    epoch: SwitchEpoch,
    version: Awaited<ReturnType<Controller['look']>>['version'],
    before: SwitchRecord | null,
  ) {
    const { place, clock } = this.options;
    const { mode, heldFrom, committed } = rung;
    const record = {
      migration: 'm' as MigrationId,
      mode,
      heldFrom,
      committed,
      epoch: (epoch + 1) as SwitchEpoch,
      announcedAt: new Date(clock.nowMs()).toISOString(),
      ...(await this.positionsOf(rung, before)),
    };
    const outcome = await place.write(record, version);
    invariant(outcome.kind === 'written', 'two controllers in one test');
  }

  /** Fixed when `draining` has held for the first time, and kept from then on. */
  private async positionsOf({ mode }: Rung, before: SwitchRecord | null) {
    const { frozenAt = null, watchFrom = null, indexOffset = null } = before ?? {};
    const { heads } = this.options;
    if (mode === 'legacy') return { frozenAt: null, watchFrom: null, indexOffset };
    if (mode !== 'migrating' || frozenAt !== null || heads === undefined) return { frozenAt, watchFrom, indexOffset };
    const { source, target } = await heads();
    return { frozenAt: source, watchFrom: target, indexOffset: indexOffsetAt(source, target, indexOffset) };
  }

  private async barrier(rung: Rung, epoch: SwitchEpoch): Promise<Barrier> {
    const { place, clock, target, requestLifeMs, waitsForNobody = false } = this.options;
    if (waitsForNobody) return { kind: 'held' };
    const registrations = (await place.registrations()).map(({ value: { instance, acknowledged, goneAt } }) => ({
      instance,
      acknowledged,
      lapsed: false,
      harmless: cannotWrite(rung, epoch, acknowledged, target.comparesSwitch),
      goneAtMs: goneAt === null ? null : Date.parse(goneAt),
    }));
    return barrierAt(epoch, registrations, { instancesMin: 1, nowMs: clock.nowMs(), requestLifeMs });
  }

  private async copyAll(): Promise<void> {
    const { source, target, clock } = this.options;
    for await (const page of source.list(everything)) {
      await clock.sleep(lookMs);
      for (const { key, value, version } of page) await target.copy(key, value, version);
    }
  }
}
