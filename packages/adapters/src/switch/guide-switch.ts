/**
 * The switch of applications that follow etcd's guide by themselves: one key of theirs that turns `true`.
 *
 *     mode       legacy  draining  migrating │ settled  normal          kept beside it, in <key>/record
 *     the key            not true            │ true
 *
 * Nobody registers, so nobody can be asked. In place of acknowledgements time stands: a mode counts as taken once it was
 * written and the longest life of a request, which includes the time to follow the key, has passed by this process's own
 * clock. That every instance is so quick rests on the application (SPEC R113).
 */
import {
  invariant,
  type Clock,
  type InstanceId,
  type PlainSwitch,
  type RegistrationRecord,
  type Switch,
  type SwitchEntry,
  type SwitchEpoch,
  type SwitchRecord,
  type SwitchVersion,
  type SwitchWrite,
} from '@keyferry/core';

export interface GuideSwitchOptions {
  /** Where keyferry remembers the mode. */
  readonly record: Switch;
  /** The application's key. */
  readonly plain: PlainSwitch;
  readonly requestLifeMs: number;
  readonly clock: Pick<Clock, 'monotonicMs'>;
  /** Whether it may write: a controller does, and whoever only looks does not. */
  readonly leads: boolean;
}

/** Stands for all of them: there is nobody that could be told apart. */
const everybody = 'by-time' as InstanceId;

export class GuideSwitch implements Switch {
  readonly where: string;
  private readonly options: GuideSwitchOptions;
  /** Since when the key is known to say what this epoch asks for. */
  private told: { readonly epoch: SwitchEpoch; readonly atMs: number } | null = null;
  private looks = 0;

  constructor(options: GuideSwitchOptions) {
    this.options = options;
    this.where = options.plain.where;
  }

  async read(): Promise<SwitchEntry<SwitchRecord> | null> {
    const entry = await this.options.record.read();
    if (entry !== null && this.options.leads) await this.tell(entry.value);
    return entry;
  }

  async write(record: SwitchRecord, expected: SwitchVersion | 'absent'): Promise<SwitchWrite<SwitchRecord>> {
    const outcome = await this.options.record.write(record, expected);
    if (outcome.kind === 'written') await this.tell(record);
    return outcome;
  }

  async registrations(): Promise<readonly SwitchEntry<RegistrationRecord>[]> {
    const record = (await this.options.record.read())?.value ?? null;
    const { told } = this;
    const { requestLifeMs, clock } = this.options;
    const epoch = record?.epoch ?? (0 as SwitchEpoch);
    const hasPassed = told?.epoch === epoch && clock.monotonicMs() - told.atMs > requestLifeMs;
    const value: RegistrationRecord = {
      instance: everybody,
      acknowledged: epoch === 0 || hasPassed ? epoch : ((epoch - 1) as SwitchEpoch),
      // Never stands still, so that it never counts as lapsed.
      renewals: (this.looks += 1),
      leaseMs: requestLifeMs,
      since: record?.announcedAt ?? '',
      goneAt: null,
    };
    return [{ value, version: String(this.looks) as SwitchVersion }];
  }

  async readRegistration(): Promise<null> {
    return null;
  }

  async writeRegistration(): Promise<never> {
    invariant(false, `an instance registered at ${this.where}, where nobody can`);
  }

  async removeRegistration(): Promise<never> {
    invariant(false, `an instance left ${this.where}, where nobody can register`);
  }

  async close(): Promise<void> {
    await Promise.all([this.options.record.close(), this.options.plain.close()]);
  }

  /** Once an epoch, and again by a process that does not know whether another one came to it. */
  private async tell({ epoch, mode }: SwitchRecord): Promise<void> {
    if (this.told?.epoch === epoch) return;
    await this.options.plain.write(mode === 'settled' || mode === 'normal');
    this.told = { epoch, atMs: this.options.clock.monotonicMs() };
  }
}
