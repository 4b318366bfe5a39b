/** Instants as JSON holds them: RFC 3339, UTC, milliseconds. */
export function instantText(atMs: number): string {
  return new Date(atMs).toISOString();
}

export function instantMs(text: string): number {
  return Date.parse(text);
}
