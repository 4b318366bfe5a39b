/**
 * MemoryStateStore: the StateStore of tests and of the simulator. Items are kept as JSON text, so that nobody can
 * change what is stored by holding on to an object, and so that what JSON cannot carry is lost here as it is elsewhere.
 *
 * Versions come from one counter of the database: an item that was removed and written anew never has an old version.
 */
import {
  compareKeys,
  invariant,
  keyFromText,
  type KeyferryError,
  type StateEntry,
  type StateItems,
  type StateKind,
  type StateStore,
  type StateVersion,
  type StateWriteOutcome,
} from '../src/index.ts';
import { Faults, type FaultMoment } from './memory-faults.ts';
import { allRules, type ProtocolRules } from './protocol-rules.ts';

export type StateOperation = Exclude<keyof StateStore, 'close'>;

/** What several stores share, as processes share a state file. */
export class MemoryStateDatabase {
  /** By kind and scope, then by id. */
  readonly scopes = new Map<string, Map<string, { readonly version: StateVersion; readonly body: string }>>();
  private writes = 0;

  nextVersion(): StateVersion {
    this.writes += 1;
    return String(this.writes) as StateVersion;
  }

  scope(kind: StateKind, scope: string) {
    const name = JSON.stringify([kind, scope]);
    const items = this.scopes.get(name) ?? new Map<string, { version: StateVersion; body: string }>();
    this.scopes.set(name, items);
    return items;
  }
}

export interface MemoryStateStoreOptions {
  readonly database?: MemoryStateDatabase;
  readonly rules?: Partial<Pick<ProtocolRules, 'conditionalState'>>;
}

export class MemoryStateStore implements StateStore {
  readonly database: MemoryStateDatabase;
  private readonly conditional: boolean;
  private readonly faults = new Faults<StateOperation>();
  private closed = false;

  constructor(options: MemoryStateStoreOptions = {}) {
    this.database = options.database ?? new MemoryStateDatabase();
    this.conditional = { ...allRules, ...options.rules }.conditionalState;
  }

  async read<K extends StateKind>(kind: K, scope: string, id: string): Promise<StateEntry<K> | null> {
    return this.run('read', () => this.entry(kind, scope, id));
  }

  async write<K extends StateKind>(
    kind: K,
    scope: string,
    id: string,
    item: StateItems[K],
    expected: StateVersion | 'absent',
  ): Promise<StateWriteOutcome<K>> {
    return this.run('write', () => {
      const current = this.entry(kind, scope, id);
      if (!this.isAt(current, expected)) return { kind: 'conflict', current };
      const version = this.database.nextVersion();
      this.database.scope(kind, scope).set(id, { version, body: JSON.stringify(item) });
      return { kind: 'written', version };
    });
  }

  async remove<K extends StateKind>(
    kind: K,
    scope: string,
    id: string,
    expected: StateVersion,
  ): Promise<StateWriteOutcome<K>> {
    return this.run('remove', () => {
      const current = this.entry(kind, scope, id);
      if (!this.isAt(current, expected)) return { kind: 'conflict', current };
      this.database.scope(kind, scope).delete(id);
      return { kind: 'written', version: this.database.nextVersion() };
    });
  }

  async list<K extends StateKind>(
    kind: K,
    scope: string,
    page: { readonly after: string | null; readonly itemsMax: number },
  ): Promise<{ readonly entries: readonly StateEntry<K>[]; readonly next: string | null }> {
    return this.run('list', () => {
      const after = page.after === null ? null : keyFromText(page.after);
      const ids = [...this.database.scope(kind, scope).keys()]
        .map((id) => ({ id, bytes: keyFromText(id) }))
        .filter(({ bytes }) => after === null || bytes > after)
        .toSorted((a, b) => compareKeys(a.bytes, b.bytes));
      const entries = ids.slice(0, page.itemsMax).flatMap(({ id }) => this.entry(kind, scope, id) ?? []);
      return { entries, next: ids.length > page.itemsMax ? (entries.at(-1)?.id ?? null) : null };
    });
  }

  async close(): Promise<void> {
    this.closed = true;
  }

  /** The next call of `operation` fails, before its effect or after it. */
  failNext(operation: StateOperation, moment: FaultMoment = 'before', error?: KeyferryError): void {
    this.faults.plant(operation, moment, error);
  }

  private entry<K extends StateKind>(kind: K, scope: string, id: string): StateEntry<K> | null {
    const stored = this.database.scope(kind, scope).get(id);
    return stored === undefined
      ? null
      : { id, item: JSON.parse(stored.body) as StateItems[K], version: stored.version };
  }

  private isAt(current: StateEntry<StateKind> | null, expected: StateVersion | 'absent'): boolean {
    return !this.conditional || (current === null ? expected === 'absent' : current.version === expected);
  }

  private run<T>(operation: StateOperation, effect: () => T): T {
    invariant(!this.closed, `${operation} on a state store after it was closed`);
    return this.faults.run(operation, effect);
  }
}
