/** Where instances of an application stand: who follows the mode, who is missing and since when. */
import { keyForDisplay, keyFromText, shellWord } from '@keyferry/core';
import type { InstanceStatus, OnlineStatus } from '@keyferry/engine';
import { columns } from '../layout/columns.ts';
import { countText, durationText } from '../layout/numbers.ts';
import type { ViewContext } from '../view.ts';
import { modeMeanings } from './outcome.ts';

export function onlineLines(online: OnlineStatus, { nowMs, palette }: ViewContext): string[] {
  const { where, rung, epoch, announcedAt, instances, instancesMin, step } = online;
  const sinceMs = announcedAt === null ? null : Math.max(0, nowMs - Date.parse(announcedAt));
  const since = sinceMs === null ? 'never announced' : `announced ${durationText(sinceMs)} ago`;
  if (online.followedBy === 'time') {
    const isOver = rung.mode === 'settled' || rung.mode === 'normal';
    return [
      `  mode     ${rung.mode} (epoch ${epoch}), ${since}`,
      `  key      ${where}: ${isOver ? 'true' : 'not true'}; applications follow it by themselves, and nobody acknowledges it`,
    ];
  }
  return [
    `  mode     ${rung.mode} (epoch ${epoch}), ${since}: ${modeMeanings[rung.mode]}`,
    `  switch   ${where}`,
    ...instanceLines(
      instances,
      { sinceMs, atLeast: `, ${countText(instancesMin)} at least`, goingOn: step.next },
      palette,
    ),
  ];
}

interface InstancesShown {
  /** For how long those that are behind are missing. */
  readonly sinceMs: number | null;
  readonly atLeast: string;
  /** The command that waits for them. */
  readonly goingOn: string;
}

/** Who acknowledged what was announced, and who is missing. */
export function instanceLines(
  instances: readonly InstanceStatus[],
  { sinceMs, atLeast, goingOn }: InstancesShown,
  palette: ViewContext['palette'],
): string[] {
  const behind = instances.filter(({ isBehind }) => isBehind);
  const there = instances.filter(({ goneAt }) => goneAt === null).length;
  return [
    `  acknowledged by ${countText(there - behind.length)} of ${countText(there)} instances${atLeast}`,
    ...columns(
      instances.map((each) => instanceRow(each, sinceMs, palette)),
      [{ align: 'left' }, { align: 'left', gap: 3 }],
    ),
    ...(behind[0] === undefined || !namesInstances.test(goingOn)
      ? []
      : [`  one that is dead for good:   ${goingOn} --confirm-gone ${shellWord(behind[0].instance)}`]),
  ];
}

/** Commands that wait for instances; where another one is next, nobody is waited for. */
const namesInstances = /^keyferry (?:apply|cutover|finalize|rollback) /;

function instanceRow(
  { instance, acknowledged, isBehind, since, goneAt }: InstanceStatus,
  sinceMs: number | null,
  palette: ViewContext['palette'],
): string[] {
  const name = keyForDisplay(keyFromText(instance));
  if (goneAt !== null) return [`    . ${name}`, `named gone ${goneAt}`];
  const registered = `registered ${since}`;
  if (!isBehind) return [`    ${palette.good('=')} ${name}`, `acknowledged epoch ${acknowledged}, ${registered}`];
  const missing = sinceMs === null ? 'missing' : `missing for ${durationText(sinceMs)}`;
  return [`    ${palette.bad('!')} ${name}`, `${palette.bad(missing)}, at epoch ${acknowledged}, ${registered}`];
}

export function onlineJson(online: OnlineStatus) {
  const { where, rung, epoch, announcedAt, frozenAt, instancesMin, instances, followedBy } = online;
  const { mode, heldFrom, committed } = rung;
  return {
    switch: where,
    mode,
    heldFrom,
    committed,
    epoch,
    announcedAt,
    frozenAt,
    instancesMin,
    ...(followedBy === undefined ? {} : { followedBy }),
    instances: instances.map((each) => ({ ...instanceJson(each, announcedAt), comparesSwitch: each.comparesSwitch })),
  };
}

export function instanceJson(each: InstanceStatus, announcedAt: string | null) {
  return {
    instance: each.instance,
    acknowledged: each.acknowledged,
    missing: each.isBehind,
    missingSince: each.isBehind ? announcedAt : null,
    registeredAt: each.since,
    goneAt: each.goneAt,
  };
}
