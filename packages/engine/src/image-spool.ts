/**
 * A spool of image records: sorted by the keys that the rules gave them, each with its key in the source behind it, so
 * that several may have one and the same.
 *
 *     spool key     image key │ kind │ source key          (core: key-pair.ts)
 *
 * Those that share an image key come one after another, and so become one collision, of which only the first few source
 * keys are kept: memory does not grow with it. A page is handed on only up to where all entries at its last key are in
 * it; so it never matters where a page, a chunk or a checkpoint ends.
 */
import {
  firstOfPair,
  invariant,
  keyForDisplay,
  pairKey,
  splitPair,
  type Key,
  type KeyRange,
  type NotCarried,
  type Position,
  type RecordPage,
  type ScanOptions,
  type Spool,
  type StoredRecord,
  type StoreView,
  type Unplaced,
  type UnplacedReason,
  type Version,
} from '@keyferry/core';

/** Source keys of a collision that are kept to be named. */
const sourceKeysNamed = 3;

/** What stands at an image key, by what sorts first. */
type Kind = 'n' | 'o' | 'r' | 'u';
/** A program can make one key of one record several times; a number behind the source key tells them apart. */
const numberDigits = 12;
const notCarriedKind: Kind = 'n';
const oneWayKind: Kind = 'o';
const recordKind: Kind = 'r';
const unplacedKind: Kind = 'u';

/** An image that was sorted. */
export interface SpilledImage extends StoreView {
  /** Records in it; of those that collide each is counted. */
  readonly keys: number;
  /** Of these, those of which nobody can say what record they were made of. */
  readonly untraced: number;
}

type ImageRecord = StoredRecord & { readonly sourceKey: Key };

export class ImageSpool {
  private readonly spool: Spool;
  private readonly mayRepeat: boolean;
  private keys = 0;
  private untraced = 0;

  /** @param options.mayRepeat one record may become one key more than once, which is a collision like any other */
  constructor(spool: Spool, { mayRepeat }: { readonly mayRepeat: boolean }) {
    this.spool = spool;
    this.mayRepeat = mayRepeat;
  }

  add(record: ImageRecord): void {
    this.keys += 1;
    const kind = record.oneWay === true ? oneWayKind : recordKind;
    const number = this.mayRepeat ? String(this.keys).padStart(numberDigits, '0') : '';
    this.spool.add({ ...record, key: pairKey(record.key, kind + record.sourceKey + number) });
  }

  /** One of which nobody can say what record it was made of: it stands under its own key on both sides. */
  addUntraced(record: StoredRecord): void {
    this.untraced += 1;
    this.add({ ...record, sourceKey: record.key });
  }

  addNotCarried(sourceKey: Key, entry: NotCarried): void {
    this.spool.addNotCarried({ ...entry, key: pairKey(entry.key, notCarriedKind + sourceKey) });
  }

  addUnplaced({ key, reason, sourceKeys: [sourceKey = key], bytes, detail }: Unplaced): void {
    const value = new TextEncoder().encode(JSON.stringify({ reason, bytes, detail }));
    this.spool.add({ key: pairKey(key, unplacedKind + sourceKey), value, version: '' as Version, expiresAtMs: null });
  }

  /** What was added, as a view; the spool goes with it. */
  async sealed(position: Position): Promise<SpilledImage> {
    const { spool, keys, untraced } = this;
    const digits = this.mayRepeat ? numberDigits : 0;
    await spool.seal((pair) => {
      const { second } = splitPair(pair);
      invariant(!isRecord(second), () => `a scan met ${keyForDisplay(sourceKeyIn(second, digits))} twice`);
    });
    return {
      keys,
      untraced,
      position,
      scan: (range, options) => scanImage(spool, range, options, digits),
      close: async () => spool.close(),
    };
  }

  close(): void {
    this.spool.close();
  }
}

async function* scanImage(
  spool: Spool,
  { start, end }: KeyRange,
  options: ScanOptions,
  digits: number,
): AsyncGenerator<RecordPage> {
  const pairs = { start: firstOfPair(start), end: end === null ? null : firstOfPair(end) };
  const gathering = new ImagePages(digits);
  for await (const page of spool.scan(pairs, options)) {
    gathering.take(page);
    yield gathering.drain();
  }
  yield gathering.end();
}

const kindOf = (second: string): Kind => second.charAt(0) as Kind;

const isRecord = (second: string): boolean => second.startsWith(recordKind) || second.startsWith(oneWayKind);

/** @param digits of the number behind the source key of a record */
function sourceKeyIn(second: string, digits: number): Key {
  return second.slice(1, isRecord(second) ? second.length - digits : undefined) as Key;
}

/** Puts together what stands at one image key, and hands it on once the next one has come. */
class ImagePages {
  private page = emptyPage();
  private here = emptyPlace(null);
  private readonly digits: number;

  constructor(digits: number) {
    this.digits = digits;
  }

  take({ records, notCarried }: RecordPage): void {
    // Two ascending lists of one ascending sequence.
    let at = 0;
    const takeNotCarried = (before: Key | null): void => {
      for (let entry = notCarried[at]; entry !== undefined; entry = notCarried[at]) {
        if (before !== null && entry.key > before) return;
        const { first: key } = splitPair(entry.key);
        this.moveTo(key);
        this.here.notCarried.push({ ...entry, key });
        at += 1;
      }
    };
    for (const record of records) {
      takeNotCarried(record.key);
      this.takeRecord(record);
    }
    takeNotCarried(null);
  }

  drain(): RecordPage {
    const { page } = this;
    this.page = emptyPage();
    return page;
  }

  end(): RecordPage {
    this.moveTo(null);
    return this.drain();
  }

  private takeRecord(record: StoredRecord): void {
    const { first: key, second } = splitPair(record.key);
    this.moveTo(key);
    const { here } = this;
    const kind = kindOf(second);
    const sourceKey = sourceKeyIn(second, this.digits);
    if (kind === unplacedKind) {
      const entry = JSON.parse(new TextDecoder().decode(record.value)) as {
        reason: UnplacedReason;
        bytes: number;
        detail: string;
      };
      here.unplaced.push({ key, sourceKeys: [sourceKey], count: 1, ...entry });
      return;
    }
    here.count += 1;
    here.bytes += sourceKey.length + record.value.length;
    if (here.sourceKeys.length < sourceKeysNamed) here.sourceKeys.push(sourceKey);
    // Of several none is written, so none needs to be kept.
    here.record = here.count > 1 ? null : { ...record, key, sourceKey, ...(kind === oneWayKind && { oneWay: true }) };
  }

  /** Closes the place that was being gathered if `key` is another one; null: there is no other. */
  private moveTo(key: Key | null): void {
    const { here, page } = this;
    if (here.key === key) return;
    if (here.record !== null) page.records.push(here.record);
    page.notCarried.push(...here.notCarried);
    page.unplaced.push(...here.unplaced);
    if (here.key !== null && here.count > 1) page.unplaced.push(collision(here.key, here));
    this.here = emptyPlace(key);
  }
}

function emptyPage() {
  return { records: [] as StoredRecord[], notCarried: [] as NotCarried[], unplaced: [] as Unplaced[] };
}

interface Place {
  readonly key: Key | null;
  record: StoredRecord | null;
  count: number;
  bytes: number;
  readonly sourceKeys: Key[];
  readonly notCarried: NotCarried[];
  readonly unplaced: Unplaced[];
}

function emptyPlace(key: Key | null): Place {
  return { key, record: null, count: 0, bytes: 0, sourceKeys: [], notCarried: [], unplaced: [] };
}

function collision(key: Key, { sourceKeys, count, bytes }: Place): Unplaced {
  const named = sourceKeys.map(keyForDisplay);
  const rest = count - named.length;
  const listed =
    rest > 0 ? `${named.join(', ')} and ${rest} more` : `${named.slice(0, -1).join(', ')} and ${named.at(-1) ?? ''}`;
  return { key, reason: 'key.collision', sourceKeys, count, bytes, detail: `${listed} would all become it` };
}
