/** One planned change in words. Digests are salted and say only "the same" or "not the same"; sensitive keys show none. */
import { instantMs, type PlannedChange } from '@keyferry/core';
import type { Palette } from '../../terminal/palette.ts';
import { bytesText, durationText } from '../layout/numbers.ts';

export function changeText(row: PlannedChange, createdAt: string): string {
  const { action, bytes, digest, target, sensitive } = row;
  const size = sizeText(row, createdAt);
  if (sensitive) {
    const change =
      target === null || action === 'delete' ? size : `changes, ${bytesText(target.bytes)} -> ${bytesText(bytes)}`;
    return `${change} (sensitive)`;
  }
  if (target === null) return action === 'blocked' ? `${size}, see findings` : size;
  if (action === 'delete') return `${size}, at version ${target.version}`;
  const short = (whole: string): string => whole.slice(0, 8);
  const there = `target ${bytesText(target.bytes)} ${short(target.digest)} version ${target.version}`;
  return `source ${size} ${short(digest)}, ${there}`;
}

export function symbolOf({ action }: Pick<PlannedChange, 'action'>, palette: Palette): string {
  switch (action) {
    case 'create':
      return palette.good('+');
    case 'overwrite':
      return palette.caution('~');
    case 'delete':
      return palette.caution('-');
    case 'conflict':
      return palette.caution('!');
    case 'blocked':
      return palette.bad('!');
  }
}

/** `88 B, TTL 38 s left`, told from when the plan was made. */
function sizeText({ bytes, expiresAt }: PlannedChange, createdAt: string): string {
  if (expiresAt === null) return bytesText(bytes);
  return `${bytesText(bytes)}, TTL ${durationText(Math.max(0, instantMs(expiresAt) - instantMs(createdAt)))} left`;
}
