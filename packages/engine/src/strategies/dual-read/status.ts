/** Where applications stand: the mode, who follows it, who is missing and since when. One look, which changes nothing. */
import {
  nextOnline,
  type MigrationId,
  type NextStep,
  type Phase,
  type Rung,
  type Switch,
  type SwitchEpoch,
} from '@keyferry/core';
import { instanceStatuses, type InstanceStatus } from '../../instance-status.ts';
import type { Environment } from '../../migration.ts';
import { withRetry } from '../../retry.ts';

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
    instances: instanceStatuses(
      listed.map(({ value }) => value),
      epoch,
    ),
    ...(followedBy === undefined ? {} : { followedBy }),
    step: nextOnline(migration, rung, state?.phase ?? 'new', state?.appliedAs ?? `${migration}.kfplan`, followedBy),
  };
}
