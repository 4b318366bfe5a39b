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
  followedBy,
}: PlannedOnline): string[] {
  if (followedBy === 'time') return byTimeLines(place, requestLifeMs);
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

/** Of applications that follow a key by themselves; what rests on them says the finding `online.by-time`. */
function byTimeLines(key: string, requestLifeMs: number): string[] {
  const life = durationText(requestLifeMs);
  return [
    `  key      ${key}, which applications follow by themselves`,
    `  wait     ${life} after each step, the time in which every instance has followed; nobody is asked`,
    '  apply    copies what the source holds, behind what applications write in the target',
    '  cutover  writes true into the key, once everything is proven to be there',
    '  pause    none: applications write the target in every mode',
  ];
}
