/** A spool in memory. It counts those that are open, so that a test can see that none is left. */
import {
  compareKeys,
  invariant,
  rangeHolds,
  type Key,
  type KeyRange,
  type NotCarried,
  type RecordPage,
  type ScanOptions,
  type Scratch,
  type Spool,
  type StoredRecord,
} from '../src/index.ts';

type Entry = { readonly record: StoredRecord } | { readonly notCarried: NotCarried };

export class MemoryScratch implements Scratch {
  open = 0;
  /** Spools that were ever opened. */
  opened = 0;
  private readonly pageKeysMax: number;

  /** @param options.pageKeysMax most entries in a page, whatever is asked for: small pages find more */
  constructor({ pageKeysMax = Number.POSITIVE_INFINITY }: { readonly pageKeysMax?: number } = {}) {
    this.pageKeysMax = pageKeysMax;
  }

  openSpool(): Spool {
    this.open += 1;
    this.opened += 1;
    return new MemorySpool(this.pageKeysMax, () => {
      this.open -= 1;
    });
  }
}

class MemorySpool implements Spool {
  private readonly entries = new Map<Key, Entry>();
  private readonly repeats: Key[] = [];
  private sorted: readonly (readonly [Key, Entry])[] = [];
  private state: 'filling' | 'sealed' | 'closed' = 'filling';
  private readonly pageKeysMax: number;
  private readonly onClose: () => void;

  constructor(pageKeysMax: number, onClose: () => void) {
    this.pageKeysMax = pageKeysMax;
    this.onClose = onClose;
  }

  add({ key, value, version, expiresAtMs, created }: StoredRecord): void {
    const made = created === undefined ? {} : { created };
    this.put(key, { record: { key, value: value.slice(), version, expiresAtMs, ...made } });
  }

  addNotCarried(entry: NotCarried): void {
    this.put(entry.key, { notCarried: entry });
  }

  async seal(repeated: (key: Key) => void = () => undefined): Promise<void> {
    invariant(this.state === 'filling', 'a spool is sealed once');
    for (const key of this.repeats.toSorted(compareKeys)) repeated(key);
    this.sorted = [...this.entries].toSorted(([a], [b]) => compareKeys(a, b));
    this.state = 'sealed';
  }

  async *scan(range: KeyRange, options: ScanOptions): AsyncGenerator<RecordPage> {
    const size = Math.min(options.pageKeysMax, this.pageKeysMax);
    const within = this.sorted.filter(([key]) => rangeHolds(range, key)).map(([, entry]) => entry);
    for (let at = 0; at < within.length || at === 0; at += size) {
      invariant(this.state === 'sealed', 'a spool is read only between sealing and closing');
      const page = within.slice(at, at + size);
      if (page.length === 0) return;
      yield {
        records: page.flatMap((entry) => ('record' in entry ? entry.record : [])),
        notCarried: page.flatMap((entry) => ('notCarried' in entry ? entry.notCarried : [])),
      };
    }
  }

  close(): void {
    if (this.state === 'closed') return;
    this.state = 'closed';
    this.onClose();
  }

  private put(key: Key, entry: Entry): void {
    invariant(this.state === 'filling', 'a sealed spool takes no more entries');
    if (this.entries.has(key)) this.repeats.push(key);
    else this.entries.set(key, entry);
  }
}
