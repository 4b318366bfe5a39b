/** Where applications are led under `replicate`, and which instances have acknowledged that. One look, which changes nothing. */
import {
  primaryStanding,
  type MigrationId,
  type PrimaryRecord,
  type PrimarySwitch,
  type SwitchEpoch,
} from '@keyferry/core';
import { instanceStatuses, type InstanceStatus } from '../instance-status.ts';
import type { Environment } from '../migration.ts';
import { withRetry } from '../retry.ts';

export interface PrimaryStatus extends Pick<PrimaryRecord, 'primary' | 'writes' | 'epoch'> {
  readonly where: string;
  /** RFC 3339: since when those that are behind are missing; null: nothing was ever announced. */
  readonly announcedAt: string | null;
  readonly instances: readonly InstanceStatus[];
}

export async function readPrimaryStatus(
  env: Environment,
  migration: MigrationId,
  place: PrimarySwitch,
): Promise<PrimaryStatus> {
  const entry = await withRetry(env, 'read switch', () => place.read());
  const { instances } = place;
  const listed = instances === null ? [] : await withRetry(env, 'read registrations', () => instances.registrations());
  // Another migration's word says where applications are, and nothing of what this one announced.
  const { primary, writes } = primaryStanding(entry?.value ?? null);
  const epoch = entry?.value.epoch ?? (0 as SwitchEpoch);
  return {
    where: place.where,
    primary,
    writes,
    epoch,
    announcedAt: entry?.value.migration === migration ? entry.value.announcedAt : null,
    instances: instanceStatuses(
      listed.map(({ value }) => value),
      epoch,
    ),
  };
}
