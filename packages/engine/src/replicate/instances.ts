/**
 * Instances that take part in a cutover: watched while both sides are proven, called up before the hold, waited for in it.
 *
 *     begin ─► (proof of both sides) ─► call: who is there, and so what counts as proof ─► hold: barrier, look by look
 *
 * Watching begins early so that the call itself takes no time: each of those alive renews meanwhile. What the call and the
 * barrier mean is core's (roll-call.ts, barrier.ts). No instance is ever harmless here: applications write by clients of
 * their own, which compare nothing, so one that lapsed is passed over only once somebody named it gone (SPEC R103).
 */
import {
  barrierAt,
  KeyferryError,
  rollCall,
  type Barrier,
  type CutoverRules,
  type HoldProof,
  type MigrationSpec,
  type Missing,
  type Registrations,
  type RollCall,
  type SwitchEpoch,
} from '@keyferry/core';
import { assertNotStopped, type Engine } from '../migration.ts';
import { RegistrationWatch, type SeenRegistration } from '../registration-watch.ts';
import { withRetry } from '../retry.ts';
import { portsOf } from './direction.ts';

const lookEveryMs = 500;

export class Instances {
  private readonly engine: Engine;
  private readonly spec: MigrationSpec;
  private readonly rules: CutoverRules;
  /** Null: nobody can register, or not everybody does. */
  private readonly place: Registrations | null;
  private readonly watch: RegistrationWatch;
  private readonly ended = new AbortController();
  private readonly watching: Promise<void>;
  private failure: { readonly error: unknown } | null = null;

  private constructor(engine: Engine, spec: MigrationSpec, rules: CutoverRules) {
    this.rules = rules;
    this.engine = engine;
    this.spec = spec;
    this.place = spec.replicate?.instances === 'none' ? null : portsOf(engine).primary.instances;
    this.watch = new RegistrationWatch(engine.clock);
    this.watching = this.keepWatching();
  }

  static begin(engine: Engine, spec: MigrationSpec, rules: CutoverRules): Instances {
    return new Instances(engine, spec, rules);
  }

  /**
   * Waits until everybody who is registered was seen alive; applications go on meanwhile.
   * @param command for the error
   * @throws {KeyferryError} `cutover.instances-missing`, before anything is held
   */
  async call(command: string, signal: AbortSignal): Promise<HoldProof> {
    const { engine, spec } = this;
    let told = '';
    for (;;) {
      const call = await this.look();
      if (call.kind === 'complete') return call.proof;
      if (call.kind === 'refused') throw missingError(spec, command, call);
      const on = call.on.join(' ');
      if (on !== told) engine.host.emit({ code: 'cutover.calling', data: { instances: call.on } });
      told = on;
      await engine.clock.sleep(lookEveryMs, signal);
      assertNotStopped(spec.migration, signal);
    }
  }

  /**
   * Who has acknowledged a hold.
   * @throws {KeyferryError} `switch.taken` when somebody has followed a later announcement, which is not ours
   */
  async barrier(epoch: SwitchEpoch): Promise<Barrier> {
    const { engine, spec } = this;
    const seen = await this.seen();
    if (seen.some(({ record }) => record.acknowledged > epoch)) {
      const { where } = portsOf(engine).primary;
      throw new KeyferryError('switch.taken', { where, migration: spec.migration, now: 'a later epoch was announced' });
    }
    const registrations = seen.map(({ record: { instance, acknowledged }, sighting, goneAtMs }) => {
      const lapsed = sighting === 'lapsed';
      return { instance, acknowledged, lapsed, harmless: !this.rules.lapsed, goneAtMs };
    });
    const { instances, requestLifeMs = 0 } = spec.replicate ?? {};
    const instancesMin = instances === 'none' || instances === undefined ? 1 : instances.min;
    return barrierAt(epoch, registrations, { instancesMin, nowMs: engine.clock.nowMs(), requestLifeMs });
  }

  /** Harmless to repeat. */
  async end(): Promise<void> {
    this.ended.abort();
    await this.watching;
  }

  private async look(): Promise<RollCall> {
    const { engine, spec } = this;
    const called = (await this.seen()).map(({ record: { instance }, sighting, goneAtMs }) => {
      return { instance, sighting, goneAtMs };
    });
    const { instances = null, requestLifeMs = 0 } = spec.replicate ?? {};
    const terms = { instances: this.place === null ? 'none' : instances, requestLifeMs } as const;
    return rollCall(called, { ...terms, nowMs: engine.clock.nowMs() });
  }

  private async seen(): Promise<readonly SeenRegistration[]> {
    const { engine, place } = this;
    if (this.failure !== null) throw this.failure.error;
    if (place === null) return [];
    const listed = await withRetry(engine, 'read registrations', () => place.registrations());
    return this.watch.see(listed.map(({ value }) => value));
  }

  private async keepWatching(): Promise<void> {
    if (this.place === null) return;
    const { signal } = this.ended;
    try {
      while (!signal.aborted) {
        await this.seen();
        await this.engine.clock.sleep(lookEveryMs, signal);
      }
    } catch (error) {
      this.failure = { error }; // told by whoever asks next
    }
  }
}

function missingError(
  { migration }: MigrationSpec,
  command: string,
  { on, short }: Extract<RollCall, { readonly kind: 'refused' }>,
): KeyferryError {
  return new KeyferryError('cutover.instances-missing', { migration, command, what: missingWords(on, short) });
}

/** For errors and histories. */
export function missingWords(on: readonly Missing[], short: number): string {
  const whys: Readonly<Record<Missing['why'], string>> = {
    behind: 'has not acknowledged it',
    lapsed: 'is silent for longer than its lease',
    'gone-lately': 'was named gone, and its last requests may still be under way',
  };
  const parts = on.map(({ instance, why }) => `${instance} ${whys[why]}`);
  if (short > on.length) parts.push(`${short} more must be registered`);
  return parts.join(', ');
}
