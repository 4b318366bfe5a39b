/**
 * A record's value, and the flags that Consul keeps beside it: 64 bits of an application's own.
 *
 * The model of a record has a value and nothing beside it, so flags are part of the value where they say anything. What
 * is compared, kept as a before-image and put back is then all of a record, and flags are in its digest.
 *
 *     flags as expected      the value as it is
 *     any others             consul-flags:42\n and then the value
 *
 * Expected are 0, or what a JSON pointer finds in the value itself (`flagsFrom`): a version number that the rest of a
 * system reads from the flags. A value that begins with those words by itself is written with the header too, so that
 * nothing has two forms.
 */
const header = /^consul-flags:(0|[1-9]\d{0,19})\n/;
const headerBytesMax = 'consul-flags:'.length + 21;
const flagsMax = 2n ** 64n - 1n;

export interface StoredValue {
  readonly value: Uint8Array;
  /** Decimal, without leading zeros. */
  readonly flags: string;
}

export class ValueForm {
  private readonly pointer: readonly string[] | null;

  /** @param flagsFrom a JSON pointer into the value; null: records have no flags of their own */
  constructor(flagsFrom: string | null) {
    this.pointer =
      flagsFrom
        ?.split('/')
        .slice(1)
        .map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~')) ?? null;
  }

  /** What keyferry takes for the value of a record. */
  toValue({ value, flags }: StoredValue): Uint8Array {
    const isPlain = headerOf(value) === null && flags === this.expected(value);
    return isPlain ? value : Buffer.concat([Buffer.from(`consul-flags:${flags}\n`, 'latin1'), value]);
  }

  /** What is to be stored for it. */
  toStored(value: Uint8Array): StoredValue {
    const found = headerOf(value);
    if (found === null) return { value, flags: this.expected(value) };
    return { value: value.subarray(found.bytes), flags: found.flags };
  }

  /** Why a value cannot be stored so that it is read back as it is, as the remainder of a sentence; null: it can. */
  unfit(value: Uint8Array): string | null {
    const found = headerOf(value);
    if (found === null) return null;
    if (BigInt(found.flags) > flagsMax) return 'its value begins with consul-flags: and a number above 64 bits';
    const body = value.subarray(found.bytes);
    const needsNone = headerOf(body) === null && this.expected(body) === found.flags;
    return needsNone ? 'its value begins with consul-flags: and the flags that it has anyway' : null;
  }

  private expected(value: Uint8Array): string {
    if (this.pointer === null) return '0';
    let found = parsed(value);
    for (const part of this.pointer) {
      if (typeof found !== 'object' || found === null || !Object.hasOwn(found, part)) return '0';
      found = (found as Readonly<Record<string, unknown>>)[part];
    }
    return typeof found === 'number' && Number.isSafeInteger(found) && found >= 0 ? String(found) : '0';
  }
}

function headerOf(value: Uint8Array): { readonly flags: string; readonly bytes: number } | null {
  if (value[0] !== 0x63) return null; // `c`, for nearly all values the end of it
  const match = header.exec(Buffer.from(value.subarray(0, headerBytesMax)).toString('latin1'));
  return match === null ? null : { flags: match[1] ?? '0', bytes: match[0].length };
}

function parsed(value: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString('utf8'));
  } catch {
    return null; // not JSON: then nothing is to be found in it
  }
}
