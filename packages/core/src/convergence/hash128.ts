/**
 * 128-bit, seeded, non-cryptographic hash: MurmurHash3_x86_128 (Appleby, public domain), which works on four lanes of
 * 32 bits, as JavaScript's integers do. Little-endian machines only, which are all that Node runs on and etcd supports.
 * A cryptographic hash is twenty times dearer a record and buys nothing:
 * the digest finds accidents, and its salt keeps digests of different plans from being compared.
 *
 * The result goes into an array that the caller owns, so that a million records allocate nothing.
 */
/** Four lanes, the most significant first; signed, so that reading one needs no number larger than a machine word. */
export type Lanes = Int32Array;

const encoder = new TextEncoder();

const c1 = 0x239b961b;
const c2 = 0xab0e9789;
const c3 = 0x38b34ae5;
const c4 = 0xa1e38b93;

const rotl = (x: number, r: number): number => (x << r) | (x >>> (32 - r));

function finalMix(h: number): number {
  h ^= h >>> 16;
  h = Math.imul(h, 0x85ebca6b);
  h ^= h >>> 13;
  h = Math.imul(h, 0xc2b2ae35);
  return h ^ (h >>> 16);
}

export function lanes(): Lanes {
  return new Int32Array(4);
}

/** Bytes that are hashed in one go; longer input is hashed piece by piece, each seeded by the one before. */
export const hashPieceBytes = 65_536;

/**
 * Hashes bytes. Input is copied into one aligned buffer and read in 32-bit words: four times fewer loads than byte by
 * byte, which is most of the time for values of some hundred bytes. One hasher serves one caller.
 */
export class Hasher {
  private readonly bytes = new Uint8Array(hashPieceBytes);
  private readonly words = new Int32Array(this.bytes.buffer);

  /** Hashes into `into`, seeded by what it holds: calls can be chained, a field after another. */
  hash(into: Lanes, input: Uint8Array): void {
    if (input.length <= hashPieceBytes) {
      this.bytes.set(input);
      this.mix(into, input.length);
      return;
    }
    for (let at = 0; at < input.length; at += hashPieceBytes) {
      const piece = input.subarray(at, at + hashPieceBytes);
      this.bytes.set(piece);
      this.mix(into, piece.length);
    }
  }

  /**
   * Hashes a byte string and bytes behind it, as one input when they fit. The string goes in as UTF-8, in which each of
   * its bytes has one form: the platform's encoder takes half the time of a loop over characters.
   */
  hashPair(into: Lanes, key: string, value: Uint8Array): void {
    const { bytes } = this;
    if (2 * key.length + value.length > hashPieceBytes) {
      this.hash(into, encoder.encode(key));
      this.hash(into, value);
      return;
    }
    const { written } = encoder.encodeInto(key, bytes);
    bytes.set(value, written);
    this.mix(into, written + value.length);
  }

  /**
   * As `hashPair`, of a key and a value right behind it where they lie; @returns false, and nothing hashed, for a key that UTF-8
   * writes in other bytes, and for what does not fit.
   */
  hashSpan(into: Lanes, view: DataView, start: number, keyEnd: number, end: number): boolean {
    const length = end - start;
    if (length + keyEnd - start > hashPieceBytes) return false;
    let all = 0;
    for (let at = start; at < keyEnd; at += 1) all |= view.getUint8(at);
    if (all > 0x7f) return false;
    const { words, bytes } = this;
    const whole = length >> 2;
    for (let i = 0; i < whole; i += 1) words[i] = view.getInt32(start + (i << 2), true);
    for (let i = whole << 2; i < length; i += 1) bytes[i] = view.getUint8(start + i);
    this.mix(into, length);
    return true;
  }

  /** Hashes the first `length` bytes of the buffer. */
  private mix(into: Lanes, length: number): void {
    const { words, bytes } = this;
    let h1 = into[0] as number;
    let h2 = into[1] as number;
    let h3 = into[2] as number;
    let h4 = into[3] as number;
    const whole = length >> 4;
    for (let i = 0; i < whole << 2; i += 4) {
      h1 ^= Math.imul(rotl(Math.imul(words[i] as number, c1), 15), c2);
      h1 = (Math.imul((rotl(h1, 19) + h2) | 0, 5) + 0x561ccd1b) | 0;
      h2 ^= Math.imul(rotl(Math.imul(words[i + 1] as number, c2), 16), c3);
      h2 = (Math.imul((rotl(h2, 17) + h3) | 0, 5) + 0x0bcaa747) | 0;
      h3 ^= Math.imul(rotl(Math.imul(words[i + 2] as number, c3), 17), c4);
      h3 = (Math.imul((rotl(h3, 15) + h4) | 0, 5) + 0x96cd1c35) | 0;
      h4 ^= Math.imul(rotl(Math.imul(words[i + 3] as number, c4), 18), c1);
      h4 = (Math.imul((rotl(h4, 13) + h1) | 0, 5) + 0x32ac3b17) | 0;
    }
    const rest = length & 15;
    if (rest > 0) {
      // What an earlier input left behind the end counts as zero. At most 15 bytes: a call of fill would cost more.
      for (let i = length; i < (whole + 1) << 4; i += 1) bytes[i] = 0;
      const at = whole << 2;
      if (rest > 12) h4 ^= Math.imul(rotl(Math.imul(words[at + 3] as number, c4), 18), c1);
      if (rest > 8) h3 ^= Math.imul(rotl(Math.imul(words[at + 2] as number, c3), 17), c4);
      if (rest > 4) h2 ^= Math.imul(rotl(Math.imul(words[at + 1] as number, c2), 16), c3);
      h1 ^= Math.imul(rotl(Math.imul(words[at] as number, c1), 15), c2);
    }
    h1 ^= length;
    h2 ^= length;
    h3 ^= length;
    h4 ^= length;
    h1 = (h1 + h2 + h3 + h4) | 0;
    h2 = (h2 + h1) | 0;
    h3 = (h3 + h1) | 0;
    h4 = (h4 + h1) | 0;
    h1 = finalMix(h1);
    h2 = finalMix(h2);
    h3 = finalMix(h3);
    h4 = finalMix(h4);
    h1 = (h1 + h2 + h3 + h4) | 0;
    into[0] = h1;
    into[1] = h2 + h1;
    into[2] = h3 + h1;
    into[3] = h4 + h1;
  }
}

const hexOfByte = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'));
const hexOf = (lane: number, shift: number): string => hexOfByte[(lane >>> shift) & 0xff] as string;

/** The first `count` lanes, 8 digits each. A plan does this once a row: by table, six times faster than by toString. */
export function lanesToHex(value: Lanes, count = value.length): string {
  let text = '';
  for (let i = 0; i < count; i += 1) {
    const lane = value[i] as number;
    text += hexOf(lane, 24) + hexOf(lane, 16) + hexOf(lane, 8) + hexOf(lane, 0);
  }
  return text;
}

/** @returns null unless the text is 32 hexadecimal digits. */
export function lanesFromHex(text: string): Lanes | null {
  if (!/^[0-9a-f]{32}$/.test(text)) return null;
  const value = lanes();
  for (let i = 0; i < 4; i += 1) value[i] = parseInt(text.slice(i * 8, i * 8 + 8), 16);
  return value;
}
