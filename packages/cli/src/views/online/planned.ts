/** How an application takes part, as a plan says it. */
import type { PlannedOnline } from '@keyferry/core';
import { counted, durationText } from '../layout/numbers.ts';
import { modeMeanings } from './outcome.ts';

export function plannedOnlineLines({
  switch: place,
  guardedBySwitch,
  instancesMin,
  requestLifeMs,
  modes,
  writePauseMaxMs,
}: PlannedOnline): string[] {
  const guard = guardedBySwitch
    ? 'the target holds it, and refuses writes of an older mode'
    : 'elsewhere than the target: an instance that falls silent is waited for until it is named gone';
  return [
    `  switch   ${place} (${guard})`,
    `  wait     at each barrier for every instance, ${counted(instancesMin, 'instance')} at least; requests live ${durationText(requestLifeMs)}`,
    ...modes.map(({ mode, command, barrier }, i) => {
      const lead = i === 0 ? '  modes   ' : '          ';
      return `${lead} ${command.padEnd(8)} ${mode}${barrier ? ', with a barrier' : ''}: ${modeMeanings[mode]}`;
    }),
    `  pause    writes are held for ${durationText(writePauseMaxMs)} at most, from draining until its barrier holds or is given up`,
  ];
}
