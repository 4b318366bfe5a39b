/** Writes in the source by somebody who does not follow the switch, told as an error before the point of no return. */
import { keyForDisplay, keyFromJson, KeyferryError, type MigrationSpec, type Position } from '@keyferry/core';
import type { OnlineVerification } from './verify-online.ts';

/** @throws {KeyferryError} `source.stray-write`, naming the first keys */
export function assertNoStrays(
  { migration }: MigrationSpec,
  { strays, straysTotal: total }: OnlineVerification,
  frozenAt: Position | null,
): void {
  if (total === 0) return;
  const keys = strays.map((key) => keyForDisplay(keyFromJson(key)));
  throw new KeyferryError('source.stray-write', { migration, keys, total, frozenAt: frozenAt ?? '' });
}
