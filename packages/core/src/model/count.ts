/** Counts in words for people: grouped and never rounded. Without the platform's locales: the same text everywhere. */
export function countText(count: number): string {
  return String(count).replace(/\B(?=(?:\d{3})+$)/g, ',');
}

/** `1 key`, `12,310 keys`; with a verb where it changes too: `counted(n, 'key differs', 'keys differ')`. */
export function counted(count: number, one: string, many = `${one}s`): string {
  return `${countText(count)} ${count === 1 ? one : many}`;
}
