/** Values in the body of a form, which is how the v2 API takes them. Pure. */

/** How many bytes a value becomes in a form. */
export function formBytes(value: Uint8Array): number {
  let escaped = 0;
  for (const byte of value) if (needsEscape(byte)) escaped += 1;
  return value.length + 2 * escaped;
}

/**
 * A value for a form body. The server takes any bytes there but those that a form gives a meaning (Go's url.ParseQuery:
 * `%`, `+`, `&`, and `;`), so text does not triple in size.
 */
export function escapeForm(value: Uint8Array): Uint8Array {
  const size = formBytes(value);
  if (size === value.length) return value;
  const escaped = Buffer.alloc(size);
  let at = 0;
  for (const byte of value) {
    if (needsEscape(byte)) at += escaped.write(`%${byte.toString(16).toUpperCase().padStart(2, '0')}`, at, 'latin1');
    else escaped[at++] = byte;
  }
  return escaped;
}

/** `%`, `&`, `+`, `;` */
function needsEscape(byte: number): boolean {
  return byte === 0x25 || byte === 0x26 || byte === 0x2b || byte === 0x3b;
}
