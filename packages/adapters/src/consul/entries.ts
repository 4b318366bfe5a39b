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

/** How entries stand in an answer, and where it may be cut. */
export interface Framing {
  readonly opening: string;
  /** From the end of an entry to the beginning of the next; the cut is at the comma in it. */
  readonly between: string;
  readonly closing: string;
  /** The entries in the JSON of a part between opening and closing, unchecked. */
  readonly entriesOf: (json: unknown) => unknown;
}

const asList: Framing = { opening: '[', between: '},{"LockIndex":', closing: ']', entriesOf: (json) => json };

/** The answer of a transaction that only reads: `{"Results":[{"KV":{"LockIndex":0,…}},…],"Errors":null,…}`. */
export const asTransaction: Framing = {
  opening: '{"Results":[',
  between: '}},{"KV":{"LockIndex":',
  closing: ']}',
  entriesOf: (json) => {
    const { Results } = json as { readonly Results?: unknown };
    if (!Array.isArray(Results)) return Results;
    return Results.map((each: unknown) => (typeof each === 'object' && each !== null && 'KV' in each ? each.KV : null));
  },
};

export class EntryStream {
  private readonly take: (entry: WireEntry) => void;
  private readonly broken: (detail: string) => Error;
  private readonly framing: Framing;
  private pieces: Uint8Array[] = [];
  private bytes = 0;
  private parseAt = partBytes;
  private begun = false;

  /** @param broken makes the error for an answer that is not a list of entries, or not all of it */
  constructor(take: (entry: WireEntry) => void, broken: (detail: string) => Error, framing: Framing = asList) {
    this.take = take;
    this.broken = broken;
    this.framing = framing;
  }

  write(piece: Uint8Array): void {
    this.pieces.push(piece);
    this.bytes += piece.byteLength;
    if (this.bytes < this.parseAt) return;
    const gathered = Buffer.concat(this.pieces);
    const { between, closing } = this.framing;
    const cut = gathered.lastIndexOf(between);
    if (cut < 0) {
      if (this.bytes > entryBytesMax) throw this.broken('it is not a list of entries');
      this.pieces = [gathered];
      this.parseAt = 2 * this.bytes; // an entry larger than a part: look again once there is much more
      return;
    }
    const comma = cut + between.indexOf(',');
    this.parse(gathered.subarray(0, comma), closing);
    const rest = gathered.subarray(comma + 1);
    this.pieces = [rest];
    this.bytes = rest.byteLength;
    this.parseAt = Math.max(partBytes, 2 * this.bytes);
  }

  /** Call at the end of the answer: throws unless exactly one whole list was seen. */
  end(): void {
    const last = Buffer.from(Buffer.concat(this.pieces).toString('latin1').trimEnd(), 'latin1');
    if (!last.toString('latin1').endsWith(this.framing.closing.slice(-1))) throw this.broken('it ends too early');
    this.parse(last, '');
  }

  /** @param closing what the part lacks at its end */
  private parse(part: Buffer, closing: string): void {
    const { opening, entriesOf } = this.framing;
    let text = part.toString('utf8');
    if (!this.begun) {
      if (!text.startsWith(opening)) throw this.broken('it is not a list of entries');
      text = text.slice(opening.length);
      this.begun = true;
    }
    const json = parseJson(`${opening}${text}${closing}`, this.broken);
    for (const entry of checkEntries(entriesOf(json), this.broken)) this.take(entry);
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
