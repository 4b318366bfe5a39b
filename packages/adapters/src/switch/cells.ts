/**
 * A switch on any store that can change one small text under a condition: what all switches share.
 *
 *     record               the mode
 *     primary              which store applications use, under strategy replicate
 *     instances/<id>       a registration; ids are percent-encoded, so that none can reach into another's place. It says
 *                          which of both it follows, so that whoever asks for the one's does not see the other's
 *
 * An adapter says how its store reads, lists and conditionally writes such texts, in its own `switch.ts`; the forms of the
 * texts are core's.
 */
import {
  plainSwitchIsOver,
  plainSwitchText,
  primaryRecordFromText,
  primaryRecordToText,
  registrationFromText,
  registrationToText,
  switchRecordFromText,
  switchRecordToText,
  type InstanceId,
  type PlainSwitch,
  type PrimaryRecord,
  type PrimarySwitch,
  type Registrations,
  type RegistrationRecord,
  type Switch,
  type SwitchEntry,
  type SwitchRecord,
  type SwitchVersion,
  type SwitchWrite,
} from '@keyferry/core';

export type Cell = SwitchEntry<string>;
export type CellWrite = SwitchWrite<string>;

export const recordName = 'record';
const primaryName = 'primary';
export const instancesFolder = 'instances/';

/** Small texts by name. Reads are linearizable; a version is never that of an earlier state. */
export interface Cells {
  readonly where: string;
  read(name: string): Promise<Cell | null>;
  write(name: string, text: string, expected: SwitchVersion | 'absent'): Promise<CellWrite>;
  remove(name: string, expected: SwitchVersion): Promise<CellWrite>;
  /** Those below `instancesFolder`. */
  listInstances(): Promise<readonly Cell[]>;
  close(): Promise<void>;
}

/** Cells in one of which the plain form may lie too. */
export interface PlainCells extends Pick<Cells, 'where' | 'read' | 'close'> {
  /** Whatever is there. */
  put(name: string, text: string): Promise<void>;
}

/** @param name of the cell that has it */
export function plainSwitchOf(cells: PlainCells, name: string): PlainSwitch {
  return {
    where: cells.where,
    isOver: async () => plainSwitchIsOver((await cells.read(name))?.value ?? null),
    write: (isOver) => cells.put(name, plainSwitchText(isOver)),
    close: () => cells.close(),
  };
}

/** What both switches share. */
class CellRegistrations implements Registrations {
  readonly where: string;
  protected readonly cells: Cells;
  private readonly follows: RegistrationRecord['follows'];

  /** @param follows what those that it lists follow; undefined: the mode */
  constructor(cells: Cells, follows: RegistrationRecord['follows']) {
    this.cells = cells;
    this.where = cells.where;
    this.follows = follows;
  }

  async registrations(): Promise<readonly SwitchEntry<RegistrationRecord>[]> {
    const listed = (await this.cells.listInstances()).map((cell) => this.registrationOf(cell));
    const ours = listed.filter(({ value }) => value.follows === this.follows);
    return ours.toSorted((a, b) => (a.value.instance < b.value.instance ? -1 : 1));
  }

  async readRegistration(instance: InstanceId): Promise<SwitchEntry<RegistrationRecord> | null> {
    const cell = await this.cells.read(nameOf(instance));
    return cell && this.registrationOf(cell);
  }

  async writeRegistration(
    registration: RegistrationRecord,
    expected: SwitchVersion | 'absent',
  ): Promise<SwitchWrite<RegistrationRecord>> {
    const name = nameOf(registration.instance);
    return this.outcomeOf(await this.cells.write(name, registrationToText(registration), expected));
  }

  async removeRegistration(instance: InstanceId, expected: SwitchVersion): Promise<SwitchWrite<RegistrationRecord>> {
    return this.outcomeOf(await this.cells.remove(nameOf(instance), expected));
  }

  private registrationOf({ value, version }: Cell): SwitchEntry<RegistrationRecord> {
    return { value: registrationFromText(value, this.where), version };
  }

  private outcomeOf(outcome: CellWrite): SwitchWrite<RegistrationRecord> {
    if (outcome.kind === 'written') return outcome;
    return { kind: 'lost', current: outcome.current && this.registrationOf(outcome.current) };
  }
}

export class CellSwitch extends CellRegistrations implements Switch {
  constructor(cells: Cells) {
    super(cells, undefined);
  }

  async read(): Promise<SwitchEntry<SwitchRecord> | null> {
    return this.recordOf(await this.cells.read(recordName));
  }

  async write(record: SwitchRecord, expected: SwitchVersion | 'absent'): Promise<SwitchWrite<SwitchRecord>> {
    const outcome = await this.cells.write(recordName, switchRecordToText(record), expected);
    return outcome.kind === 'written' ? outcome : { kind: 'lost', current: this.recordOf(outcome.current) };
  }

  close(): Promise<void> {
    return this.cells.close();
  }

  private recordOf(cell: Cell | null): SwitchEntry<SwitchRecord> | null {
    return cell && { value: switchRecordFromText(cell.value, this.where), version: cell.version };
  }
}

/** Which store is primary, under strategy `replicate`. */
export class CellPrimarySwitch implements PrimarySwitch {
  readonly kind = 'key';
  readonly where: string;
  readonly instances: Registrations;
  private readonly cells: Cells;

  constructor(cells: Cells) {
    this.cells = cells;
    this.where = cells.where;
    this.instances = new CellRegistrations(cells, 'primary');
  }

  async read(): Promise<SwitchEntry<PrimaryRecord> | null> {
    return this.recordOf(await this.cells.read(primaryName));
  }

  async write(record: PrimaryRecord, expected: SwitchVersion | 'absent'): Promise<SwitchWrite<PrimaryRecord>> {
    const outcome = await this.cells.write(primaryName, primaryRecordToText(record), expected);
    return outcome.kind === 'written' ? outcome : { kind: 'lost', current: this.recordOf(outcome.current) };
  }

  async tell(): Promise<void> {
    // Applications read it.
  }

  close(): Promise<void> {
    return this.cells.close();
  }

  private recordOf(cell: Cell | null): SwitchEntry<PrimaryRecord> | null {
    return cell && { value: primaryRecordFromText(cell.value, this.where), version: cell.version };
  }
}

/** Dots too: in etcd v2 a name of dots is a way through the tree. */
export const nameOf = (instance: InstanceId): string =>
  `${instancesFolder}${encodeURIComponent(instance).replaceAll('.', '%2E')}`;
