/** What a plan says about applications' part in it: which modes come, what each command waits for, how long writes are held. */
import { modeTable, type MigrationSpec, type Mode, type PlanDocument } from '@keyferry/core';
import type { Engine } from '../../migration.ts';

const forward: readonly (readonly [Mode, string])[] = [
  ['draining', 'apply'],
  ['migrating', 'apply'],
  ['settled', 'cutover'],
  ['normal', 'finalize'],
];

/** Nothing where the application takes no part. */
export function plannedOnline({ online }: Engine, { online: terms }: MigrationSpec): Pick<PlanDocument, 'online'> {
  if (online === undefined || terms === undefined) return {};
  const { instancesMin, barrierTimeoutMs, requestLifeMs, followedBy } = terms;
  return {
    online: {
      switch: online.place.where,
      guardedBySwitch: online.target?.comparesSwitch === true,
      instancesMin,
      barrierTimeoutMs,
      requestLifeMs,
      modes: forward.map(([mode, command]) => ({ mode, command, barrier: modeTable[mode].barrier })),
      writePauseMaxMs: followedBy === undefined ? barrierTimeoutMs : 0,
      ...(followedBy === undefined ? {} : { followedBy }),
    },
  };
}
