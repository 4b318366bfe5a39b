/** Numbers for people: counts are grouped and never rounded, sizes and times are rounded, ids stay as they are. */
import { countText } from '@keyferry/core';

export { counted, countText } from '@keyferry/core';

const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];

export function bytesText(bytes: number): string {
  let value = bytes;
  let unit = 0;
  // 1023.95 would be printed as 1024.0: it belongs to the next unit.
  while (value >= 1023.95 && unit < units.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${unit === 0 ? String(value) : shortNumber(value)} ${units[unit] ?? ''}`;
}

export function durationText(ms: number): string {
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 59_950) return `${shortNumber(ms / 1000)} s`;
  const seconds = Math.round(ms / 1000);
  if (seconds < 3600) return twoUnits(Math.floor(seconds / 60), 'min', seconds % 60, 's');
  const minutes = Math.round(seconds / 60);
  if (minutes < 48 * 60) return twoUnits(Math.floor(minutes / 60), 'h', minutes % 60, 'min');
  return `${Math.round(minutes / 1440)} days`;
}

/** A rate in whole keys a second; below ten with one decimal. */
export function rateText(perSecond: number): string {
  return `${perSecond < 10 ? shortNumber(perSecond) : countText(Math.round(perSecond))} keys/s`;
}

/** Cents from one dollar on, hundredths of a cent below. */
export function dollarsText(dollars: number): string {
  if (dollars > 0 && dollars < 0.0001) return 'under $0.0001';
  const digits = dollars >= 1 ? 2 : 4;
  return `$${dollars.toLocaleString('en-US', { minimumFractionDigits: digits, maximumFractionDigits: digits })}`;
}

/** `2026-11-22 06:30 UTC` for an RFC 3339 instant. */
export function instantForPeople(instant: string): string {
  return `${instant.slice(0, 10)} ${instant.slice(11, 16)} UTC`;
}

/** `a`, `a and b`, `a, b and c`. */
export function listText(items: readonly string[]): string {
  const last = items.at(-1) ?? '';
  return items.length < 2 ? last : `${items.slice(0, -1).join(', ')} and ${last}`;
}

/** One decimal below a hundred, none above, and no `.0`. */
function shortNumber(value: number): string {
  return value >= 99.95 ? String(Math.round(value)) : value.toFixed(1).replace(/\.0$/, '');
}

function twoUnits(large: number, largeUnit: string, small: number, smallUnit: string): string {
  return small === 0 ? `${large} ${largeUnit}` : `${large} ${largeUnit} ${small} ${smallUnit}`;
}
