/** Instances as status shows them: who follows what was announced, and who is missing. */
import type { InstanceId, RegistrationRecord, SwitchEpoch } from '@keyferry/core';

export interface InstanceStatus {
  readonly instance: InstanceId;
  readonly acknowledged: SwitchEpoch;
  /** It has not acknowledged what was announced, or nobody knows. */
  readonly isBehind: boolean;
  /** RFC 3339: when it registered. */
  readonly since: string;
  /** RFC 3339: when an operator named it gone; null: nobody did. */
  readonly goneAt: string | null;
  readonly comparesSwitch: boolean;
}

export function instanceStatuses(
  registrations: readonly RegistrationRecord[],
  epoch: SwitchEpoch,
): readonly InstanceStatus[] {
  return registrations.map((each) => ({
    instance: each.instance,
    acknowledged: each.acknowledged,
    isBehind: each.goneAt === null && each.acknowledged < epoch,
    since: each.since,
    goneAt: each.goneAt,
    comparesSwitch: each.comparesSwitch === true,
  }));
}
