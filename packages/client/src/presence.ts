/**
 * Presence: an instance at the switch. It registers, reads the mode, follows it, acknowledges it and renews its lease.
 *
 *     register ─► read the switch ─► serve ⟲ (read, follow, acknowledge or renew) ─► leave: remove the registration
 *                                      └── past the lease: starts nothing until a renewal, and then a read of the switch, succeed
 *                                      └── named gone by an operator: never serves again
 *
 * In that order, so that no late starter begins in an older mode (SPEC R28). One loop does all of it, one request after
 * the other: an acknowledgement and a renewal are the same write, and a lost answer to it is settled by reading what is
 * there. Beside it, `ask` reads the switch for who must know now. When what may be acknowledged is core's decision
 * (operation-gate.ts).
 */
import {
  acknowledgeable,
  beginOperation,
  closedGate,
  endOperation,
  isCertain,
  isServing,
  followSwitch,
  KeyferryError,
  renewLease,
  type Clock,
  type InstanceId,
  type OpenOperation,
  type RegistrationRecord,
  type Registrations,
  type SeenSwitch,
  type SwitchEntry,
  type SwitchEpoch,
  type SwitchVersion,
} from '@keyferry/core';
import type { Settings } from './options.ts';

/** The switch that an instance follows: of modes, or of primaries. */
export interface FollowedSwitch<R extends Announced> {
  readonly where: string;
  readonly instances: Registrations;
  read(): Promise<SwitchEntry<R> | null>;
}

interface Announced {
  readonly epoch: SwitchEpoch;
}

/** How an instance takes part. */
export interface Part<R> {
  /** Whether what was announced holds writes back; null: nothing was ever announced. */
  readonly holdsWrites: (record: R | null) => boolean;
  /** What its registration says of it. */
  readonly says: Pick<RegistrationRecord, 'comparesSwitch' | 'follows'>;
}

export interface Begun<R> {
  readonly operation: OpenOperation;
  /** What was announced when it began; null: nothing was ever. */
  readonly record: R | null;
  /** What says so. */
  readonly seen: SeenSwitch;
}

const noEpoch = 0 as SwitchEpoch;
/** While writes are held back, the switch is read so many times as often: that is the pause that applications see. */
const heldPollShare = 20;
const renewalsALease = 3;

export class Presence<R extends Announced> {
  readonly instance: InstanceId;
  private readonly place: FollowedSwitch<R>;
  private readonly clock: Clock;
  private readonly settings: Settings;
  private readonly onProblem: (error: unknown) => void;
  private readonly holdsWrites: Part<R>['holdsWrites'];
  private readonly stopping = new AbortController();
  private gate = closedGate(noEpoch);
  private seen: SwitchVersion | null = null;
  private announced: R | null = null;
  private registration: RegistrationRecord;
  /** Null: it is not known what is there. */
  private version: SwitchVersion | 'absent' | null = 'absent';
  private renewDueAtMs = 0;
  private isGone = false;
  private waiting: (() => void)[] = [];
  private readonly listeners = new Set<() => void>();
  private loop: Promise<void> = Promise.resolve();

  constructor(
    place: FollowedSwitch<R>,
    instance: InstanceId,
    clock: Clock,
    settings: Settings,
    onProblem: (error: unknown) => void,
    { holdsWrites, says }: Part<R>,
  ) {
    this.place = place;
    this.instance = instance;
    this.clock = clock;
    this.settings = settings;
    this.onProblem = onProblem;
    this.holdsWrites = holdsWrites;
    const since = new Date(clock.nowMs()).toISOString();
    const { leaseMs } = settings;
    this.registration = { instance, acknowledged: noEpoch, renewals: 0, leaseMs, ...says, since, goneAt: null };
  }

  get status(): { readonly epoch: SwitchEpoch; readonly serving: boolean } {
    return { epoch: this.gate.epoch, serving: this.isServing() };
  }

  /** What the switch says, as this instance follows it; null: nothing was ever announced. */
  get record(): R | null {
    return this.announced;
  }

  /** Resolves once the instance is registered and knows the mode. @throws the switch's errors */
  async start(): Promise<void> {
    try {
      await this.renew();
      await this.follow();
      await this.renew();
    } catch (error) {
      // A registration that nobody renews would be waited for at every barrier.
      await this.leave().catch((another: unknown) => this.onProblem(another));
      throw error;
    }
    this.loop = this.keepUp();
  }

  /** Null: not serving, past the lease or not looked since, so that nothing may be started now. @throws {KeyferryError} `client.named-gone` */
  begin(): Begun<R> | null {
    this.assertNotGone();
    const begun = beginOperation(this.gate, this.clock.monotonicMs());
    if (begun === null) return null;
    this.gate = begun.gate;
    return { operation: begun.begun, record: this.announced, seen: { epoch: begun.begun.epoch, version: this.seen } };
  }

  /** Begins as soon as it is serving. @throws {KeyferryError} `client.not-serving`, `client.named-gone` */
  async beginWithin(untilMs: number): Promise<Begun<R>> {
    for (;;) {
      const begun = this.begin();
      if (begun !== null) return begun;
      if (this.clock.monotonicMs() >= untilMs) throw this.notServing();
      await this.changed(untilMs);
    }
  }

  notServing(): KeyferryError {
    return new KeyferryError('client.not-serving', { instance: this.instance });
  }

  /** @returns whether the outcome may be told as it is */
  end(operation: OpenOperation, known: boolean): boolean {
    const { requestLifeMs } = this.settings;
    const ended = endOperation(this.gate, operation, { known, nowMs: this.clock.monotonicMs(), requestLifeMs });
    this.gate = ended.gate;
    if (this.registration.acknowledged < this.gate.epoch) this.wake();
    return ended.certain && !this.isGone;
  }

  /** Asks the switch now, beside the loop. @returns what it says. @throws the switch's errors */
  async ask(): Promise<R | null> {
    await this.follow();
    return this.announced;
  }

  /** The switch is known to have moved. */
  lookNow(): void {
    this.wake();
  }

  /** Whether answers may still be told, in the middle of an operation: the lease ran ever since it began. */
  isCertain(operation: OpenOperation): boolean {
    return !this.isGone && isCertain(this.gate, operation, this.clock.monotonicMs());
  }

  /** Within the lease, and the switch was read in it. */
  isServing(): boolean {
    return !this.isGone && isServing(this.gate, this.clock.monotonicMs());
  }

  /** Until the mode or the lease has changed, or the time has come. */
  async changed(untilMs: number): Promise<void> {
    const ended = new AbortController();
    const woken = new Promise<void>((resolve) => this.waiting.push(resolve));
    const waitMs = Math.max(0, untilMs - this.clock.monotonicMs());
    await Promise.race([woken, this.clock.sleep(waitMs, ended.signal)]);
    ended.abort();
    this.assertNotGone();
  }

  /** @param listener is called whenever the mode or the lease has changed. @returns ends that */
  subscribe(listener: () => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  /** Waits for what is under way, for one request life at most, and leaves. Nothing may be begun any more. */
  async leave(): Promise<void> {
    const untilMs = this.clock.monotonicMs() + this.settings.requestLifeMs;
    while (this.hasOpen() && this.clock.monotonicMs() < untilMs) await this.clock.sleep(this.settings.pollMs);
    this.stopping.abort();
    this.wake();
    await this.loop;
    this.gate = { ...this.gate, leaseEndsAtMs: Number.NEGATIVE_INFINITY };
    // One whose outcome nobody knows keeps the registration: barriers then wait for this instance as for a lapsed one.
    if (this.hasOpen() || this.isGone) return;
    if (this.version === null) await this.resync();
    if (this.version !== null && this.version !== 'absent') {
      await this.place.instances.removeRegistration(this.instance, this.version);
    }
  }

  private hasOpen(): boolean {
    const nowMs = this.clock.monotonicMs();
    return this.gate.open.some(({ overAtMs }) => overAtMs === null || overAtMs > nowMs);
  }

  private async keepUp(): Promise<void> {
    while (!this.stopping.signal.aborted) {
      const isHeld = this.holdsWrites(this.announced);
      const isBehind = this.registration.acknowledged < this.gate.epoch;
      const pollMs = this.settings.pollMs / (isHeld || isBehind ? heldPollShare : 1);
      await Promise.race([this.clock.sleep(pollMs, this.stopping.signal), this.woken()]);
      if (this.stopping.signal.aborted || this.isGone) return;
      try {
        await this.follow();
        const nowMs = this.clock.monotonicMs();
        const mayAcknowledge = acknowledgeable(this.gate, nowMs) > this.registration.acknowledged;
        if (mayAcknowledge || nowMs >= this.renewDueAtMs) await this.renew();
        // It had lapsed: what it read before may be long over.
        if (this.gate.mustLook) await this.follow();
      } catch (error) {
        this.onProblem(error);
      }
    }
  }

  private async follow(): Promise<void> {
    const { lapses } = this.gate;
    const entry = await this.place.read();
    const before = this.gate;
    const followed = followSwitch(before, entry?.value.epoch ?? null);
    // Of a read that was sent before a renewal that came too late, the epoch counts, and it is no look at what came since.
    this.gate = lapses === before.lapses ? followed : { ...followed, mustLook: before.mustLook };
    if (entry !== null && entry.value.epoch >= before.epoch) {
      this.seen = entry.version;
      this.announced = entry.value;
    }
    if (this.gate !== before) this.notify();
  }

  private async renew(): Promise<void> {
    if (this.version === null) await this.resync();
    this.assertNotGone();
    const askedAtMs = this.clock.monotonicMs();
    // Before the mode was read there is nothing to acknowledge, and the first registration says so.
    const acknowledged = acknowledgeable(this.gate, askedAtMs);
    const { leaseMs } = this.settings;
    const next = { ...this.registration, acknowledged, renewals: this.registration.renewals + 1 };
    const expected = this.version ?? 'absent';
    this.version = null; // until the answer is there
    const outcome = await this.place.instances.writeRegistration(next, expected);
    if (outcome.kind === 'lost') return this.adopt(outcome.current);
    this.version = outcome.version;
    this.registration = next;
    this.gate = renewLease(this.gate, { askedAtMs, nowMs: this.clock.monotonicMs(), leaseMs });
    this.renewDueAtMs = askedAtMs + leaseMs / renewalsALease;
    this.notify();
  }

  /** After an answer was lost: what is there may be what was written, and may be an operator's word. */
  private async resync(): Promise<void> {
    this.adopt(await this.place.instances.readRegistration(this.instance));
  }

  private adopt(current: { readonly value: RegistrationRecord; readonly version: SwitchVersion } | null): void {
    this.version = current?.version ?? 'absent';
    if (current === null) return;
    this.registration = { ...this.registration, renewals: current.value.renewals };
    if (current.value.goneAt === null) return;
    this.isGone = true;
    this.notify();
  }

  private assertNotGone(): void {
    if (this.isGone) throw new KeyferryError('client.named-gone', { instance: this.instance, where: this.place.where });
  }

  private sleeper: (() => void) | null = null;

  private woken(): Promise<void> {
    return new Promise((resolve) => {
      this.sleeper = resolve;
    });
  }

  private wake(): void {
    this.sleeper?.();
  }

  private notify(): void {
    const { waiting } = this;
    this.waiting = [];
    for (const resolve of waiting) resolve();
    for (const listener of this.listeners) listener();
  }
}
