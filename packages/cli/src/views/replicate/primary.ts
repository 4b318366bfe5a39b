/** Where applications are led under `replicate`, for status: what the switch says, and which instances acknowledged it. */
import type { MigrationId } from '@keyferry/core';
import type { PrimaryStatus } from '@keyferry/engine';
import { durationText } from '../layout/numbers.ts';
import { instanceJson, instanceLines } from '../online/status.ts';
import type { ViewContext } from '../view.ts';

export function primaryLines(migration: MigrationId, status: PrimaryStatus, { nowMs, palette }: ViewContext): string[] {
  const { where, primary, writes, epoch, announcedAt, instances } = status;
  const sinceMs = announcedAt === null ? null : Math.max(0, nowMs - Date.parse(announcedAt));
  const since = sinceMs === null ? 'never announced' : `announced ${durationText(sinceMs)} ago`;
  const goingOn = `keyferry ${primary === 'source' ? 'cutover' : 'rollback'} ${migration}`;
  const held = writes === 'held' ? palette.caution('writes are held') : 'writes are open';
  return [
    `  primary  the ${primary}, ${held} (epoch ${epoch}), ${since}`,
    `  switch   ${where}`,
    ...(instances.length === 0
      ? ['  no instance is registered: a cutover waits for the life of a request']
      : instanceLines(instances, { sinceMs, atLeast: '', goingOn }, palette)),
  ];
}

export function primaryJson({ where, primary, writes, epoch, announcedAt, instances }: PrimaryStatus) {
  return {
    switch: where,
    primary,
    writes,
    epoch,
    announcedAt,
    instances: instances.map((each) => instanceJson(each, announcedAt)),
  };
}
