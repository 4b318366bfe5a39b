/**
 * Which keys are sensitive: plans, views and logs show that their content changes and how long it is, never what it is.
 * The globs of a migration see the whole target key; the built-in patterns see its last two segments, in any case of
 * letters, because secrets are named either themselves (`db/password`) or as a group (`secrets/db`).
 */
import { keyToText, type Key } from '@keyferry/core';
import { compileGlob } from './glob.ts';

export const builtInSensitive: readonly string[] = ['*password*', '*secret*', '*token*', '*private*key*'];
const segmentsSeen = 2;

export function sensitiveMatcher(globs: readonly string[]): (targetKey: Key) => boolean {
  const own = globs.map(compileGlob);
  const builtIn = builtInSensitive.map(compileGlob);
  return (targetKey) => {
    // Bytes that are no text are looked at one by one, so that a stray byte does not hide a name.
    const text = keyToText(targetKey) ?? targetKey;
    if (own.some((matches) => matches(text))) return true;
    const segments = text
      .toLowerCase()
      .split('/')
      .filter((segment) => segment !== '');
    return segments.slice(-segmentsSeen).some((segment) => builtIn.some((matches) => matches(segment)));
  };
}
