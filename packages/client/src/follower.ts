/**
 * Follower: what an application embeds that is moved by strategy `replicate`, whichever stores it is moved between.
 *
 *     application ─► follower ─┬─ presence (presence.ts): the switch says which store is primary, and whether writes are held
 *                              └─ work of the application's own, in the store that it is told
 *
 * It keeps the application's own clients and makes no request to a store itself. In return it knows of each write when it
 * began and when it was over, so that it can acknowledge a hold: the cutover then goes on at once, and need not wait until
 * the source was silent for the longest life of a request (SPEC R100, R105).
 */
import {
  KeyferryError,
  primaryStanding,
  type Clock,
  type InstanceId,
  type PrimaryRecord,
  type PrimarySide,
  type PrimarySwitch,
  type SwitchEpoch,
} from '@keyferry/core';
import { machineClock, machineId } from './machine.ts';
import { settingsOf, type PresenceOptions } from './options.ts';
import { Presence, type FollowedSwitch, type Part } from './presence.ts';

export interface FollowerOptions extends PresenceOptions {
  /** Where the cutover is announced; its store stays the application's to close. */
  readonly switch: PrimarySwitch;
  /**
   * Whether an error of a write's work says for certain that nothing was written and nothing will be. After any other one
   * the write may still happen, and a hold is not acknowledged for one request life. Default: none says so.
   */
  readonly wroteNothing?: ((error: unknown) => boolean) | undefined;
}

export interface FollowerStatus {
  readonly instance: InstanceId;
  readonly primary: PrimarySide;
  readonly writes: PrimaryRecord['writes'];
  readonly epoch: SwitchEpoch;
  /** False past the lease: work waits. For health checks. */
  readonly serving: boolean;
}

export interface Follower {
  readonly status: FollowerStatus;
  /**
   * Runs `work`, which reads the store it is told. Never held back. A flip reaches each instance within its poll, so for so
   * long a read may come from the former primary, which nobody writes any more.
   * @throws {KeyferryError} `client.not-serving` also where the lease ended while it ran: the answer may be old
   */
  read<T>(work: (primary: PrimarySide) => Promise<T>): Promise<T>;
  /**
   * Runs `work`, which writes in the store that it is told and in no other, once writes are not held. It must have made each
   * of its requests, and have had their answers, by the time it resolves. What it throws is passed on.
   * @param key what is written, for errors
   * @throws {KeyferryError} `client.write-held`, `client.not-serving`, `client.named-gone`: `work` was not run.
   *   `client.outcome-unknown`: it ended past the lease, so that what it wrote may not have been carried over.
   */
  write<T>(key: string, work: (primary: PrimarySide) => Promise<T>): Promise<T>;
  /** Waits for writes under way and leaves the switch. */
  close(): Promise<void>;
}

/**
 * Registers at the switch and serves from then on.
 * @throws the switch's errors; `capability.missing` where no instance can register at it
 *
 * @example
 *     const place = openEtcdV3PrimarySwitch({ name: 'new', endpoints, key: '_keyferry/switch' });
 *     const follower = await followPrimary({ name: 'api', switch: place });
 *     await follower.write('/config/limit', (primary) => stores[primary].put('/config/limit', '20'));
 *     await follower.close();
 */
export async function followPrimary(options: FollowerOptions): Promise<Follower> {
  const { name, clock = machineClock, uniqueId = machineId, onProblem = () => undefined } = options;
  const instance = `${name}.${uniqueId()}` as InstanceId;
  const settings = settingsOf(options);
  const presence = new Presence(followed(options.switch), instance, clock, settings, onProblem, part);
  await presence.start();
  const { wroteNothing = () => false } = options;
  return new PrimaryFollower({ presence, clock, waitMaxMs: settings.waitMaxMs }, wroteNothing);
}

interface Runner {
  readonly presence: Presence<PrimaryRecord>;
  readonly clock: Clock;
  readonly waitMaxMs: number;
}

class PrimaryFollower implements Follower {
  private readonly runner: Runner;
  private readonly wroteNothing: (error: unknown) => boolean;
  private closing: Promise<void> | null = null;

  constructor(runner: Runner, wroteNothing: (error: unknown) => boolean) {
    this.runner = runner;
    this.wroteNothing = wroteNothing;
  }

  get status(): FollowerStatus {
    const { presence } = this.runner;
    return { instance: presence.instance, ...primaryStanding(presence.record), ...presence.status };
  }

  async read<T>(work: (primary: PrimarySide) => Promise<T>): Promise<T> {
    const { presence, clock, waitMaxMs } = this.runner;
    const { operation, record } = await presence.beginWithin(clock.monotonicMs() + waitMaxMs);
    // Nothing that it does can take effect, so no hold has to wait for it.
    presence.end(operation, true);
    const answer = await work(primaryStanding(record).primary);
    if (!presence.isCertain(operation)) throw presence.notServing();
    return answer;
  }

  async write<T>(key: string, work: (primary: PrimarySide) => Promise<T>): Promise<T> {
    const { presence, clock, waitMaxMs } = this.runner;
    const untilMs = clock.monotonicMs() + waitMaxMs;
    for (;;) {
      const { operation, record } = await presence.beginWithin(untilMs);
      const { primary, writes } = primaryStanding(record);
      if (writes === 'open') return await this.run(key, operation, () => work(primary));
      presence.end(operation, true);
      if (clock.monotonicMs() >= untilMs) throw new KeyferryError('client.write-held', { key, mode: 'held' });
      await presence.changed(untilMs);
    }
  }

  close(): Promise<void> {
    this.closing ??= this.runner.presence.leave();
    return this.closing;
  }

  private async run<T>(
    key: string,
    operation: Parameters<Presence<PrimaryRecord>['end']>[0],
    work: () => Promise<T>,
  ): Promise<T> {
    const { presence } = this.runner;
    let answer: T;
    try {
      answer = await work();
    } catch (error) {
      presence.end(operation, this.wroteNothing(error));
      throw error;
    }
    if (presence.end(operation, true)) return answer;
    throw new KeyferryError('client.outcome-unknown', { key });
  }
}

const part: Part<PrimaryRecord> = {
  holdsWrites: (record) => record?.writes === 'held',
  says: { follows: 'primary' },
};

/** @throws {KeyferryError} `capability.missing`: applications are led by a program or by a person */
function followed(place: PrimarySwitch): FollowedSwitch<PrimaryRecord> {
  const { where, instances } = place;
  if (instances === null)
    throw new KeyferryError('capability.missing', {
      store: where,
      capability: 'registrations of instances',
      strategy: 'replicate',
    });
  return { where, instances, read: () => place.read() };
}
