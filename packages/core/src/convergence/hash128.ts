/**
 * 128-bit, seeded, non-cryptographic hash of one record: MurmurHash3 x64-style mixing on four 32-bit lanes (the
 * x86_128 variant, Appleby, public domain). A cryptographic hash is twenty times dearer a record and buys nothing:
 * the digest finds accidents, and its salt keeps digests of different plans from being compared.
 *
 * The result goes into an array that the caller owns, so that a million records allocate nothing.
 */
export type Lanes = Uint32Array; // four lanes, the most significant first

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
  return new Uint32Array(4);
}

/** Hashes bytes into `into`, seeded by what `into` holds: calls can be chained, a field after another. */
export function hashBytes(into: Lanes, bytes: Uint8Array): void {
  hashUnits(into, bytes.length, (i) => bytes[i] as number);
}

/** As `hashBytes`, over a key's bytes. */
export function hashKey(into: Lanes, key: string): void {
  hashUnits(into, key.length, (i) => key.charCodeAt(i));
}

function hashUnits(into: Lanes, length: number, at: (i: number) => number): void {
  let h1 = into[0] as number;
  let h2 = into[1] as number;
  let h3 = into[2] as number;
  let h4 = into[3] as number;
  const word = (i: number): number => at(i) | (at(i + 1) << 8) | (at(i + 2) << 16) | (at(i + 3) << 24);
  const whole = length & ~15;
  for (let i = 0; i < whole; i += 16) {
    h1 ^= Math.imul(rotl(Math.imul(word(i), c1), 15), c2);
    h1 = (Math.imul((rotl(h1, 19) + h2) | 0, 5) + 0x561ccd1b) | 0;
    h2 ^= Math.imul(rotl(Math.imul(word(i + 4), c2), 16), c3);
    h2 = (Math.imul((rotl(h2, 17) + h3) | 0, 5) + 0x0bcaa747) | 0;
    h3 ^= Math.imul(rotl(Math.imul(word(i + 8), c3), 17), c4);
    h3 = (Math.imul((rotl(h3, 15) + h4) | 0, 5) + 0x96cd1c35) | 0;
    h4 ^= Math.imul(rotl(Math.imul(word(i + 12), c4), 18), c1);
    h4 = (Math.imul((rotl(h4, 13) + h1) | 0, 5) + 0x32ac3b17) | 0;
  }
  const tail = (from: number): number => {
    let k = 0;
    for (let i = Math.min(length, from + 4) - 1; i >= from; i -= 1) k = (k << 8) | at(i);
    return k;
  };
  const rest = length & 15;
  if (rest > 12) h4 ^= Math.imul(rotl(Math.imul(tail(whole + 12), c4), 18), c1);
  if (rest > 8) h3 ^= Math.imul(rotl(Math.imul(tail(whole + 8), c3), 17), c4);
  if (rest > 4) h2 ^= Math.imul(rotl(Math.imul(tail(whole + 4), c2), 16), c3);
  if (rest > 0) h1 ^= Math.imul(rotl(Math.imul(tail(whole), c1), 15), c2);
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

export function lanesToHex(value: Lanes): string {
  let text = '';
  for (const lane of value) text += lane.toString(16).padStart(8, '0');
  return text;
}

/** @returns null unless the text is 32 hexadecimal digits. */
export function lanesFromHex(text: string): Lanes | null {
  if (!/^[0-9a-f]{32}$/.test(text)) return null;
  const value = lanes();
  for (let i = 0; i < 4; i += 1) value[i] = parseInt(text.slice(i * 8, i * 8 + 8), 16);
  return value;
}
