/**
 * An operator's word that an instance is gone for good (`--confirm-gone`): barriers then wait for it no longer than one
 * request can live (SPEC R29). It is written into the registration itself, so that the instance, should it be alive after
 * all, finds it there and serves no more.
 */
import { instantText, KeyferryError, type InstanceId, type Registrations } from '@keyferry/core';
import type { Environment } from './migration.ts';
import { withRetry } from './retry.ts';

/** Harmless to repeat. @throws {KeyferryError} `instance.unknown`, before anything is written */
export async function confirmGone(
  env: Environment,
  place: Registrations,
  where: string,
  instances: readonly string[],
): Promise<void> {
  if (instances.length === 0) return;
  const listed = await withRetry(env, 'read registrations', () => place.registrations());
  const known = listed.map(({ value }) => value.instance);
  for (const instance of instances) {
    if (!known.includes(instance as InstanceId)) {
      throw new KeyferryError('instance.unknown', { instance, where, known });
    }
  }
  for (const instance of instances) await nameGone(env, place, instance as InstanceId);
}

async function nameGone(env: Environment, place: Registrations, instance: InstanceId): Promise<void> {
  for (;;) {
    const entry = await withRetry(env, 'read registration', () => place.readRegistration(instance));
    // It left in good order meanwhile, or somebody has named it already.
    if (entry === null || entry.value.goneAt !== null) return;
    const gone = { ...entry.value, goneAt: instantText(env.clock.nowMs()) };
    const write = () => place.writeRegistration(gone, entry.version);
    const outcome = await withRetry(env, 'name an instance gone', write);
    if (outcome.kind === 'written') return; // else it has renewed, or the answer was lost: look again
  }
}
