/** Durations, sizes and rates as people write them (`10m`, `64KiB`); a bare number is refused: it hides its unit. */
const durationUnits: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };
const sizeUnits: Readonly<Record<string, number>> = { B: 1, KiB: 1024, MiB: 1024 ** 2, GiB: 1024 ** 3 };

function parseWithUnit(text: string, units: Readonly<Record<string, number>>): number | null {
  const match = /^(\d+(?:\.\d+)?)([A-Za-z]+)$/.exec(text.trim());
  const unit = units[match?.[2] ?? ''];
  return match === null || unit === undefined ? null : Number(match[1]) * unit;
}

/** Milliseconds, or null when the text is not a number with one of ms, s, m, h, d. */
export function parseDurationMs(text: string): number | null {
  return parseWithUnit(text, durationUnits);
}

/** Bytes, or null when the text is not a number with one of B, KiB, MiB, GiB. */
export function parseSizeBytes(text: string): number | null {
  return parseWithUnit(text, sizeUnits);
}

/** Keys a second, or null when the text is not a number of more than 0 with `/s`. */
export function parseRatePerSecond(text: string): number | null {
  const match = /^(\d+(?:\.\d+)?)\/s$/.exec(text.trim());
  return match === null || Number(match[1]) === 0 ? null : Number(match[1]);
}
