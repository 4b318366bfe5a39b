/**
 * A primary switch that nobody reads: applications are led by a program or by a person. The state remembers what was
 * announced, by compare-and-set as any other switch; then whoever leads applications is told, as often as it takes.
 */
import {
  type MigrationId,
  type PrimaryRecord,
  type PrimarySwitch,
  type StateEntry,
  type StateVersion,
  type SwitchEntry,
  type SwitchVersion,
  type SwitchWrite,
} from '@keyferry/core';
import type { Environment } from '../migration.ts';
import { currentId } from '../state-items.ts';

export interface WhoIsTold {
  readonly kind: 'command' | 'person';
  /** For people. */
  readonly where: string;
  /** Before it is announced: whether it can be done at all. @throws {KeyferryError} `cutover.unconfirmed` */
  readonly ask: (record: PrimaryRecord) => Promise<void>;
  /** Harmless to repeat. @throws {KeyferryError} `switch.refused` */
  readonly tell: (record: PrimaryRecord) => Promise<void>;
}

export class StatePrimarySwitch implements PrimarySwitch {
  readonly kind: PrimarySwitch['kind'];
  readonly where: string;
  /** Whoever is told by a program or a person has no place at which to register. */
  readonly instances = null;
  private readonly state: Environment['state'];
  private readonly migration: MigrationId;
  private readonly who: WhoIsTold;

  constructor(state: Environment['state'], migration: MigrationId, who: WhoIsTold) {
    this.state = state;
    this.migration = migration;
    this.who = who;
    this.kind = who.kind;
    this.where = who.where;
  }

  async read(): Promise<SwitchEntry<PrimaryRecord> | null> {
    return entryOf(await this.state.read('primary', this.migration, currentId));
  }

  async write(record: PrimaryRecord, expected: SwitchVersion | 'absent'): Promise<SwitchWrite<PrimaryRecord>> {
    await this.who.ask(record);
    const version = expected as StateVersion | 'absent';
    const outcome = await this.state.write('primary', this.migration, currentId, record, version);
    if (outcome.kind === 'conflict') return { kind: 'lost', current: entryOf(outcome.current) };
    await this.who.tell(record);
    return { kind: 'written', version: outcome.version as unknown as SwitchVersion };
  }

  async tell(record: PrimaryRecord): Promise<void> {
    await this.who.tell(record);
  }

  async close(): Promise<void> {
    // The state is closed by whoever opened it.
  }
}

function entryOf(entry: StateEntry<'primary'> | null): SwitchEntry<PrimaryRecord> | null {
  return entry === null ? null : { value: entry.item, version: entry.version as unknown as SwitchVersion };
}
