/**
 * Entries of Consul's KV store as its HTTP API writes them, one by one out of an answer of any size.
 *
 *     [{"LockIndex":0,"Key":"a","Flags":0,"Value":"dg==","CreateIndex":8,"ModifyIndex":8},{"LockIndex":…
 *
 * An answer is cut between two entries and each part parsed by itself, because all of it may be longer than any string.
 * The cut is safe: within a string a quote has a backslash before it, and a quote that ends one has no letter behind it,
 * so `},{"L` stands between entries and nowhere else. Two things would be lost in plain JSON.parse: flags above 2^53, and
 * that a key is not UTF-8, for which the server writes an escaped U+FFFD (a real one it writes as it is).
 */
export interface WireEntry {
  readonly Key: string;
  /** Base64; null when it is empty. */
  readonly Value: string | null;
  /** A number of 64 bits; as text where a JavaScript number would not hold it. */
  readonly Flags: number | string;
  readonly CreateIndex: number;
  readonly ModifyIndex: number;
  /** Of who holds the key as a lock; absent: nobody does. */
  readonly Session?: string;
}

/** Parsed once it has gathered so much; a part is this, and what came with its last piece. */
const partBytes = 512 * 1024;
/** An entry holds 512 KiB unless the server was told otherwise (`kv_max_value_size`). */
const entryBytesMax = 256 * 1024 * 1024;
const between = '},{"LockIndex":';

export class EntryStream {
  private readonly take: (entry: WireEntry) => void;
  private readonly broken: (detail: string) => Error;
  private pieces: Uint8Array[] = [];
  private bytes = 0;
  private parseAt = partBytes;
  private begun = false;

  /** @param broken makes the error for an answer that is not a list of entries, or not all of it */
  constructor(take: (entry: WireEntry) => void, broken: (detail: string) => Error) {
    this.take = take;
    this.broken = broken;
  }

  write(piece: Uint8Array): void {
    this.pieces.push(piece);
    this.bytes += piece.byteLength;
    if (this.bytes < this.parseAt) return;
    const gathered = Buffer.concat(this.pieces);
    const cut = gathered.lastIndexOf(between);
    if (cut < 0) {
      if (this.bytes > entryBytesMax) throw this.broken('it is not a list of entries');
      this.pieces = [gathered];
      this.parseAt = 2 * this.bytes; // an entry larger than a part: look again once there is much more
      return;
    }
    this.parse(gathered.subarray(0, cut + 1));
    const rest = gathered.subarray(cut + 2);
    this.pieces = [rest];
    this.bytes = rest.byteLength;
    this.parseAt = Math.max(partBytes, 2 * this.bytes);
  }

  /** Call at the end of the answer: throws unless exactly one whole list was seen. */
  end(): void {
    const last = Buffer.concat(this.pieces).toString('latin1').trimEnd();
    if (!last.endsWith(']')) throw this.broken('it ends too early');
    this.parse(Buffer.from(last.slice(0, -1), 'latin1'));
  }

  private parse(part: Buffer): void {
    let text = part.toString('utf8');
    if (!this.begun) {
      if (!text.startsWith('[')) throw this.broken('it is not a list of entries');
      text = text.slice(1);
      this.begun = true;
    }
    for (const entry of checkEntries(parseJson(`[${text}]`, this.broken), this.broken)) this.take(entry);
  }
}

export function checkEntries(list: unknown, broken: (detail: string) => Error): readonly WireEntry[] {
  if (!Array.isArray(list)) throw broken('it is not a list of entries');
  for (const item of list) if (!isEntry(item)) throw broken('something in it is not an entry');
  return list as readonly WireEntry[];
}

/** As JSON.parse, with large flags as text and keys that are not UTF-8 marked; see `isText`. */
export function parseJson(text: string, broken: (detail: string) => Error): unknown {
  const exact = /"Flags":\d{16}/.test(text) ? text.replaceAll(/"Flags":(\d{16,})/g, '"Flags":"$1"') : text;
  const marked = exact.includes('ufffd') ? exact.replaceAll(/(?<!\\)((?:\\\\)*)\\ufffd/g, '$1\\ud800') : exact;
  try {
    return JSON.parse(marked);
  } catch {
    throw broken('it is not JSON');
  }
}

/** False when the server could not write the key in its answer, because it is not UTF-8. */
export function isText(key: string): boolean {
  return key.isWellFormed();
}

function isEntry(item: unknown): item is WireEntry {
  if (typeof item !== 'object' || item === null) return false;
  const { Key, Value, Flags, CreateIndex, ModifyIndex } = item as Partial<Record<keyof WireEntry, unknown>>;
  return (
    typeof Key === 'string' &&
    (Value === null || typeof Value === 'string') &&
    (typeof Flags === 'number' || typeof Flags === 'string') &&
    typeof CreateIndex === 'number' &&
    typeof ModifyIndex === 'number'
  );
}
