/** Quoting. Whatever comes from a configuration or a catalog goes into SQL through here; values go as parameters. */

export function quoteName(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

/** `E''` with every backslash doubled, so that it means the same whatever standard_conforming_strings says. */
export function quoteText(text: string): string {
  return `E'${text.replaceAll('\\', '\\\\').replaceAll("'", "''")}'`;
}

export function quoteBytes(bytes: Uint8Array): string {
  return `'\\x${Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('hex')}'::bytea`;
}
