/** Where applications stand: the mode, who follows it, who is missing and since when. One look, which changes nothing. */
import {
  nextOnline,
  type InstanceId,
  type MigrationId,
  type NextStep,
  type Phase,
  type Rung,
  type Switch,
  type SwitchEpoch,
} from '@keyferry/core';
import type { Environment } from '../../migration.ts';
import { withRetry } from '../../retry.ts';

export interface InstanceStatus {
  readonly instance: InstanceId;
  readonly acknowledged: SwitchEpoch;
  /** It is still in an older mode than the one announced, or nobody knows. */
  readonly isBehind: boolean;
  /** RFC 3339: when it registered. */
  readonly since: string;
  /** RFC 3339: when an operator named it gone; null: nobody did. */
  readonly goneAt: string | null;
  readonly comparesSwitch: boolean;
}

export interface OnlineStatus {
  readonly where: string;
  readonly rung: Rung;
  readonly epoch: SwitchEpoch;
  /** RFC 3339: since when those that are behind are missing; null: no mode was ever announced. */
  readonly announcedAt: string | null;
  readonly frozenAt: string | null;
  readonly instancesMin: number;
  readonly instances: readonly InstanceStatus[];
  /** Applications follow the key by themselves, and nobody registers; absent: they acknowledge. */
  readonly followedBy?: 'time';
  readonly step: NextStep;
}

export interface OnlineQuestion {
  readonly migration: MigrationId;
  readonly place: Switch;
  readonly instancesMin: number;
  readonly followedBy?: 'time' | undefined;
}

/** @param state what the state says: the phase, and the argument of apply; null: nothing was applied */
export async function readOnlineStatus(
  env: Environment,
  { migration, place, instancesMin, followedBy }: OnlineQuestion,
  state: { readonly phase: Phase; readonly appliedAs: string } | null,
): Promise<OnlineStatus> {
  const entry = await withRetry(env, 'read switch', () => place.read());
  const listed =
    followedBy === undefined ? await withRetry(env, 'read registrations', () => place.registrations()) : [];
  const record = entry?.value.migration === migration ? entry.value : null;
  const rung: Rung = record ?? { mode: 'legacy', heldFrom: null, committed: null };
  const epoch = record?.epoch ?? (0 as SwitchEpoch);
  return {
    where: place.where,
    rung,
    epoch,
    announcedAt: record?.announcedAt ?? null,
    frozenAt: record?.frozenAt ?? null,
    instancesMin,
    instances: listed.map(({ value }) => ({
      instance: value.instance,
      acknowledged: value.acknowledged,
      isBehind: value.goneAt === null && value.acknowledged < epoch,
      since: value.since,
      goneAt: value.goneAt,
      comparesSwitch: value.comparesSwitch === true,
    })),
    ...(followedBy === undefined ? {} : { followedBy }),
    step: nextOnline(migration, rung, state?.phase ?? 'new', state?.appliedAs ?? `${migration}.kfplan`, followedBy),
  };
}
