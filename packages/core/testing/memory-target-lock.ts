/** A target's lock in memory: as any number of hosts see it. A holder that dies keeps it until `expire`. */
import type { HeldTargetLock, MigrationId, TargetLock, TargetLockAnswer, TargetLockNote } from '../src/index.ts';

interface Entry {
  note: TargetLockNote;
  /** Of the one holding; null: free. */
  holding: object | null;
}

export class MemoryTargetLock implements TargetLock {
  private readonly entries = new Map<MigrationId, Entry>();

  async acquire(migration: MigrationId, note: TargetLockNote): Promise<TargetLockAnswer> {
    const entry = this.entries.get(migration);
    if (entry !== undefined && entry.holding !== null) {
      const { holding } = entry;
      return { kind: 'held', by: entry.note, end: async () => this.endOf(entry, holding) };
    }
    const previous = entry?.note ?? null;
    const taken: Entry = { note, holding: {} };
    this.entries.set(migration, taken);
    return { kind: 'acquired', held: this.heldBy(taken), previous };
  }

  /** As when its holder died, or somebody took it away. */
  expire(migration: MigrationId): void {
    const entry = this.entries.get(migration);
    if (entry !== undefined) entry.holding = null;
  }

  private heldBy(entry: Entry): HeldTargetLock {
    const { holding } = entry;
    return {
      renew: async () => entry.holding === holding,
      release: async (note) => {
        if (entry.holding !== holding) return;
        entry.note = note;
        entry.holding = null;
      },
    };
  }

  private endOf(entry: Entry, holding: object): void {
    if (entry.holding === holding) entry.holding = null;
  }
}
