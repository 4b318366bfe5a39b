/** A primary switch in memory, as a key in a store is one. `followers` see each record in the instant in which it is announced. */
import type { PrimaryRecord, PrimarySwitch, SwitchEntry, SwitchVersion, SwitchWrite } from '../src/index.ts';
import { MemorySwitch } from './memory-switch.ts';

export class MemoryPrimarySwitch implements PrimarySwitch {
  readonly kind = 'key';
  readonly where = 'memory';
  readonly instances = new MemorySwitch();
  private entry: SwitchEntry<PrimaryRecord> | null = null;
  private writes = 0;

  get record(): PrimaryRecord | null {
    return this.entry?.value ?? null;
  }

  async read(): Promise<SwitchEntry<PrimaryRecord> | null> {
    return this.entry;
  }

  async write(record: PrimaryRecord, expected: SwitchVersion | 'absent'): Promise<SwitchWrite<PrimaryRecord>> {
    if ((this.entry?.version ?? 'absent') !== expected) return { kind: 'lost', current: this.entry };
    this.writes += 1;
    this.entry = { value: record, version: String(this.writes) as SwitchVersion };
    return { kind: 'written', version: this.entry.version };
  }

  async tell(): Promise<void> {
    // Whoever follows reads it.
  }

  async close(): Promise<void> {
    // Nothing is held.
  }
}
