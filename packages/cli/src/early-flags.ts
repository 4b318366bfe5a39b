/** Flags asked for before or without parsing: a failure has to take the right form even when the call is wrong. */
import { choosePalette } from './terminal/palette.ts';

/** Was this flag given? What follows `--` is no flag. */
export function hasFlag(argv: readonly string[], ...names: readonly string[]): boolean {
  const end = argv.indexOf('--');
  return (end < 0 ? argv : argv.slice(0, end)).some((arg) => names.includes(arg));
}

export function wantsJson(argv: readonly string[]): boolean {
  const { KEYFERRY_JSON: variable } = process.env;
  return hasFlag(argv, '--json') || variable === '1' || variable?.toLowerCase() === 'true';
}

export function stderrPalette(argv: readonly string[]) {
  const flag = hasFlag(argv, '--no-color') ? false : hasFlag(argv, '--color') ? true : undefined;
  return choosePalette({ flag, env: process.env, isTty: process.stderr.isTTY });
}
