/**
 * Places in the write-ahead log, and the positions that a feed makes of them: `1/0/16B3748/5a3c90fe`, timeline, place and shape.
 *
 * The timeline is in it because places are used again after a server was put back to an older state, and the shape of the
 * tables because a column that comes or goes changes rows that the log tells nothing of.
 */
import { createHash } from 'node:crypto';
import type { Position } from '@keyferry/core';
import type { ResolvedTable } from '../catalog.ts';

export interface WalPlace {
  readonly timeline: number;
  /** Bytes from the beginning of the log. */
  readonly lsn: bigint;
}

/** Up to where a feed has told the changes of its tables. */
export interface FeedPlace extends WalPlace {
  /** As `shapeOf` the tables; null: a position of a keyferry that did not note it. */
  readonly shape: string | null;
}

export function lsnFromText(text: string): bigint {
  const [high = '0', low = '0'] = text.split('/');
  return BigInt(`0x${high}`) * 2n ** 32n + BigInt(`0x${low}`);
}

export function lsnToText(lsn: bigint): string {
  return `${(lsn >> 32n).toString(16).toUpperCase()}/${(lsn & 0xffff_ffffn).toString(16).toUpperCase()}`;
}

/** Which columns of which types there are: what else rows look like is the migration's, and part of its plan. */
export function shapeOf(tables: readonly ResolvedTable[]): string {
  const parts = tables.map(({ oid, keyColumns, valueColumns }) => {
    return [oid, ...[...keyColumns, ...valueColumns].map(({ name, declared }) => [name, declared])];
  });
  return createHash('sha256').update(JSON.stringify(parts)).digest('hex').slice(0, 8);
}

export function placeOf(position: Position): FeedPlace | null {
  const match = /^(\d{1,9})\/([0-9A-F]{1,8}\/[0-9A-F]{1,8})(?:\/([0-9a-f]{8}))?$/.exec(position);
  if (match === null) return null;
  return { timeline: Number(match[1]), lsn: lsnFromText(match[2] ?? ''), shape: match[3] ?? null };
}

export function positionAt({ timeline, lsn, shape }: FeedPlace): Position {
  return `${timeline}/${lsnToText(lsn)}${shape === null ? '' : `/${shape}`}` as Position;
}
