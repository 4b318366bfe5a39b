/**
 * Places in the write-ahead log, and the positions that a feed makes of them: `1/0/16B3748`, timeline and place.
 *
 * The timeline is in it because places are used again after a server was put back to an older state.
 */
import type { Position } from '@keyferry/core';

export interface WalPlace {
  readonly timeline: number;
  /** Bytes from the beginning of the log. */
  readonly lsn: bigint;
}

export function lsnFromText(text: string): bigint {
  const [high = '0', low = '0'] = text.split('/');
  return BigInt(`0x${high}`) * 2n ** 32n + BigInt(`0x${low}`);
}

export function lsnToText(lsn: bigint): string {
  return `${(lsn >> 32n).toString(16).toUpperCase()}/${(lsn & 0xffff_ffffn).toString(16).toUpperCase()}`;
}

export function placeOf(position: Position): WalPlace | null {
  const match = /^(\d{1,9})\/([0-9A-F]{1,8}\/[0-9A-F]{1,8})$/.exec(position);
  return match === null ? null : { timeline: Number(match[1]), lsn: lsnFromText(match[2] ?? '') };
}

export function positionAt({ timeline, lsn }: WalPlace): Position {
  return `${timeline}/${lsnToText(lsn)}` as Position;
}
