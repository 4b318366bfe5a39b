/**
 * Switch: where a migration's mode is written, and where instances register and acknowledge it.
 *
 * It lies in a store that the controller and every instance reach, and decides nothing: each change is conditional on the
 * version last seen, what may follow what is core's (machines/online). Every read is linearizable: a late starter that
 * reads an older mode loses a write (SPEC R28). There is no watch: followers read it at their own pace and can miss nothing.
 */
import type { InstanceId } from '../machines/online/barrier.ts';
import type { RegistrationRecord, SwitchRecord } from '../machines/online/switch-record.ts';
import type { Brand } from '../model/brand.ts';

/** A store's token for one state of one entry. Compared for equality, never ordered; never that of an earlier state. */
export type SwitchVersion = Brand<string, 'SwitchVersion'>;

export interface SwitchEntry<T> {
  readonly value: T;
  readonly version: SwitchVersion;
}

export type SwitchWrite<T> =
  | { readonly kind: 'written'; readonly version: SwitchVersion }
  /** Somebody else was there first; `current` is what is there, null: nothing. */
  | { readonly kind: 'lost'; readonly current: SwitchEntry<T> | null };

/** Where instances say that they are there, and what they have acknowledged. */
export interface Registrations {
  /** All of them, in one linearizable read or later, by instance. */
  registrations(): Promise<readonly SwitchEntry<RegistrationRecord>[]>;
  readRegistration(instance: InstanceId): Promise<SwitchEntry<RegistrationRecord> | null>;
  writeRegistration(
    registration: RegistrationRecord,
    expected: SwitchVersion | 'absent',
  ): Promise<SwitchWrite<RegistrationRecord>>;
  /** Only at that version: an instance that leaves in good order removes its own. */
  removeRegistration(instance: InstanceId, expected: SwitchVersion): Promise<SwitchWrite<RegistrationRecord>>;
}

export interface Switch extends Registrations {
  /** For people: the store and the place in it. Holds no secret. */
  readonly where: string;
  /** Null: nothing was ever announced, which is `legacy`. */
  read(): Promise<SwitchEntry<SwitchRecord> | null>;
  /**
   * A write whose answer was lost may have happened: read, and compare with what was to be written.
   * @throws {KeyferryError} `switch.unreadable` when something else is there.
   */
  write(record: SwitchRecord, expected: SwitchVersion | 'absent'): Promise<SwitchWrite<SwitchRecord>>;
  close(): Promise<void>;
}

/** The guide's form: one key that turns `true` at the end. Nobody acknowledges it, so no barrier can hold. */
export interface PlainSwitch {
  readonly where: string;
  isOver(): Promise<boolean>;
  /** Unconditional, and harmless to repeat. */
  write(isOver: boolean): Promise<void>;
  close(): Promise<void>;
}
