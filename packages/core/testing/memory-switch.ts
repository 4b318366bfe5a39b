/**
 * MemorySwitch: the Switch of tests and of the simulator. Entries are kept as the texts that real ones hold, so what these
 * cannot carry is lost here too. Versions come from one counter: one that was removed and made anew never has an old one.
 */
import {
  plainSwitchIsOver,
  plainSwitchText,
  registrationFromText,
  registrationToText,
  switchRecordFromText,
  switchRecordToText,
  type InstanceId,
  type KeyferryError,
  type PlainSwitch,
  type RegistrationRecord,
  type Switch,
  type SwitchEntry,
  type SwitchRecord,
  type SwitchVersion,
  type SwitchWrite,
} from '../src/index.ts';
import { Faults, type FaultMoment } from './memory-faults.ts';

export type SwitchOperation = Exclude<keyof Switch, 'where' | 'close'>;

interface Text {
  readonly text: string;
  readonly version: SwitchVersion;
  /** What the text says, once somebody has read it: instances poll, and a text that did not change says the same. */
  read?: Read;
}

type Read = SwitchRecord | RegistrationRecord;

/** What several switches share, as processes share a store. */
export class MemorySwitchData {
  readonly texts = new Map<string, Text>();
  /** The plain form, as an application reads it; null: nobody wrote it. */
  plain: 'true' | 'false' | null = null;
  private writes = 0;

  nextVersion(): SwitchVersion {
    this.writes += 1;
    return String(this.writes) as SwitchVersion;
  }
}

const recordName = 'record';
const nameOf = (instance: InstanceId): string => `instance ${instance}`;

export class MemorySwitch implements Switch {
  readonly where = 'memory';
  readonly data: MemorySwitchData;
  private readonly faults = new Faults<SwitchOperation>();

  constructor(data = new MemorySwitchData()) {
    this.data = data;
  }

  /** The next call of `operation` fails: before its effect, or after it, so that its answer is lost. */
  failNext(operation: SwitchOperation, moment: FaultMoment, error?: KeyferryError): void {
    this.faults.plant(operation, moment, error);
  }

  async read(): Promise<SwitchEntry<SwitchRecord> | null> {
    return this.faults.run('read', () => this.entry(recordName, toRecord));
  }

  async write(record: SwitchRecord, expected: SwitchVersion | 'absent'): Promise<SwitchWrite<SwitchRecord>> {
    return this.faults.run('write', () => this.change(recordName, expected, switchRecordToText(record), toRecord));
  }

  async registrations(): Promise<readonly SwitchEntry<RegistrationRecord>[]> {
    return this.faults.run('registrations', () => {
      const names = [...this.data.texts.keys()].filter((name) => name !== recordName);
      return names.toSorted().flatMap((name) => this.entry(name, toRegistration) ?? []);
    });
  }

  async readRegistration(instance: InstanceId): Promise<SwitchEntry<RegistrationRecord> | null> {
    return this.faults.run('readRegistration', () => this.entry(nameOf(instance), toRegistration));
  }

  async writeRegistration(
    registration: RegistrationRecord,
    expected: SwitchVersion | 'absent',
  ): Promise<SwitchWrite<RegistrationRecord>> {
    const name = nameOf(registration.instance);
    return this.faults.run('writeRegistration', () =>
      this.change(name, expected, registrationToText(registration), toRegistration),
    );
  }

  async removeRegistration(instance: InstanceId, expected: SwitchVersion): Promise<SwitchWrite<RegistrationRecord>> {
    return this.faults.run('removeRegistration', () => this.change(nameOf(instance), expected, null, toRegistration));
  }

  async close(): Promise<void> {}

  private entry<T extends Read>(name: string, from: (text: string) => T): SwitchEntry<T> | null {
    const found = this.data.texts.get(name);
    if (found === undefined) return null;
    // A name is always read as the same kind.
    const value = (found.read ??= from(found.text)) as T;
    return { value, version: found.version };
  }

  private change<T extends Read>(
    name: string,
    expected: SwitchVersion | 'absent',
    text: string | null,
    from: (text: string) => T,
  ): SwitchWrite<T> {
    const { texts } = this.data;
    if ((texts.get(name)?.version ?? 'absent') !== expected) return { kind: 'lost', current: this.entry(name, from) };
    const version = this.data.nextVersion();
    if (text === null) texts.delete(name);
    else texts.set(name, { text, version });
    return { kind: 'written', version };
  }
}

const toRecord = (text: string): SwitchRecord => switchRecordFromText(text, 'memory');
const toRegistration = (text: string): RegistrationRecord => registrationFromText(text, 'memory');

export class MemoryPlainSwitch implements PlainSwitch {
  readonly where = 'memory';
  private readonly data: MemorySwitchData;

  constructor(data = new MemorySwitchData()) {
    this.data = data;
  }

  async isOver(): Promise<boolean> {
    return plainSwitchIsOver(this.data.plain);
  }

  async write(isOver: boolean): Promise<void> {
    this.data.plain = plainSwitchText(isOver);
  }

  async close(): Promise<void> {}
}
