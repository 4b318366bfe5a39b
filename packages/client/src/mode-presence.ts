/** Presence at the switch of a dual-read: what is followed is a mode. */
import { firstRung, modeTable, type Mode, type Switch, type SwitchRecord } from '@keyferry/core';
import type { Begun, FollowedSwitch, Part, Presence } from './presence.ts';

export type ModePresence = Presence<SwitchRecord>;
export type ModeBegun = Begun<SwitchRecord>;

/** Where both modes and registrations lie. */
export const modesOf = (place: Switch): FollowedSwitch<SwitchRecord> => ({
  where: place.where,
  instances: place,
  read: () => place.read(),
});

/** Before anything was announced it is the first mode. */
export const modeOf = ({ record }: Pick<ModeBegun, 'record'>): Mode => record?.mode ?? firstRung.mode;

/** @param comparesSwitch its writes in the target compare the switch (SPEC R37) */
export const modePart = (comparesSwitch: boolean): Part<SwitchRecord> => ({
  holdsWrites: (record) => modeTable[modeOf({ record })].writes === 'held',
  says: { comparesSwitch },
});
