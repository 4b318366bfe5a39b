/** Goal: a number without its unit is refused. */
import { describe, expect, it } from 'vitest';
import { parseDurationMs, parseRatePerSecond, parseSizeBytes } from './duration.ts';

describe('durations and sizes', () => {
  it.each([
    ['500ms', 500],
    ['30s', 30_000],
    ['1.5m', 90_000],
    ['24h', 86_400_000],
    ['10', null],
    ['10 parsecs', null],
    ['-1s', null],
    ['', null],
  ])('reads the duration %j as %j', (text, want) => {
    expect(parseDurationMs(text)).toBe(want);
  });

  it.each([
    ['64KiB', 65_536],
    ['1MiB', 1_048_576],
    ['1MB', null],
    ['1', null],
  ])('reads the size %j as %j', (text, want) => {
    expect(parseSizeBytes(text)).toBe(want);
  });

  it.each([
    ['2000/s', 2000],
    ['0.5/s', 0.5],
    ['0/s', null],
    ['10/m', null],
    ['-1/s', null],
    ['10', null],
  ])('reads the rate %j as %j', (text, want) => {
    expect(parseRatePerSecond(text)).toBe(want);
  });
});
