/** Who answers, how quickly, and whether it says of itself that it is ready. */
import type { RegistrySystem, StopSignal } from '@keyferry/core';
import type { RegistryApi } from './registry-api.ts';
import { systemInfo } from './shapes.ts';

/** @param health where `/health/ready` is; null: not to be asked */
export async function readSystem(
  api: RegistryApi,
  health: RegistryApi | null,
  signal: StopSignal,
): Promise<RegistrySystem> {
  const startedAtMs = performance.now();
  const { version } = await api.getOnce('/system/info', systemInfo, signal);
  const tookMs = Math.round(performance.now() - startedAtMs);
  return { version, ready: health === null ? null : await isReady(health, signal), tookMs };
}

/** 503 is its way to say no. */
async function isReady(health: RegistryApi, signal: StopSignal): Promise<boolean> {
  return await health.read({ path: '/health/ready' }, signal, (answer) => {
    answer.discard();
    return Promise.resolve(answer.status === 200);
  });
}
