/**
 * Primary switch: which of both stores applications use, and whether they may write, under strategy `replicate`.
 *
 * Applications follow it. Those that also register beside it acknowledge each hold, which is then over as soon as all of
 * them have (SPEC R100); of others it is the store that proves that they follow, which must not change for as long as a
 * request can live (R43). Each change is conditional on the version last seen, so that a hold is ended by one of flip and
 * undo and never by both (R45).
 */
import type { PrimaryRecord } from '../machines/online/primary-record.ts';
import type { Registrations, SwitchEntry, SwitchVersion, SwitchWrite } from './switch.ts';

export interface PrimarySwitch {
  /** key: a record that applications read. command: a program that is told. person: somebody who was asked. */
  readonly kind: 'key' | 'command' | 'person';
  /** For people: the store and the place in it, the program, or whom. Holds no secret. */
  readonly where: string;
  /** Of the instances that follow this switch. Null: there is no place where one could register. */
  readonly instances: Registrations | null;
  /** Linearizable. Null: nothing was ever announced: the source is primary, and open. */
  read(): Promise<SwitchEntry<PrimaryRecord> | null>;
  /**
   * A write whose answer was lost may have happened: read, and compare with what was to be written.
   * @throws {KeyferryError} `switch.unreadable` when something else is there; `switch.refused` when who is told does
   *   not do it: it is announced all the same, and `tell` repeats it.
   */
  write(record: PrimaryRecord, expected: SwitchVersion | 'absent'): Promise<SwitchWrite<PrimaryRecord>>;
  /** Tells once more what was announced last, to whom may not have heard it. Nothing for a key. */
  tell(record: PrimaryRecord): Promise<void>;
  close(): Promise<void>;
}
