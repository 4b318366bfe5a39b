/**
 * Ids that people see and paste: a three-letter kind, then 10 characters of time and 8 of randomness in Crockford's
 * base 32, so that they sort by age and survive being read aloud. Time and randomness are arguments: core has neither.
 */
import type { Brand } from './brand.ts';

export type PlanId = Brand<string, 'PlanId'>;
export type RunId = Brand<string, 'RunId'>;
export type LockId = Brand<string, 'LockId'>;
export type WorkerId = Brand<string, 'WorkerId'>;
/** The name of a migration in the configuration. */
export type MigrationId = Brand<string, 'MigrationId'>;
/** A chunk's place in its plan, `c00000` onwards: sorts as it counts. */
export type ChunkId = Brand<string, 'ChunkId'>;

const alphabet = '0123456789ABCDEFGHJKMNPQRSTVWXYZ';

function base32(value: number, digits: number): string {
  let text = '';
  let rest = value;
  for (let i = 0; i < digits; i += 1) {
    text = alphabet.charAt(rest % 32) + text;
    rest = Math.floor(rest / 32);
  }
  return text;
}

/** @param random two values of 32 random bits; 20 bits of each are used. */
function buildId(kind: string, nowMs: number, random: readonly [number, number]): string {
  return `${kind}_${base32(nowMs, 10)}${base32(random[0] % 2 ** 20, 4)}${base32(random[1] % 2 ** 20, 4)}`;
}

export const planId = (nowMs: number, random: readonly [number, number]) => buildId('pln', nowMs, random) as PlanId;
export const runId = (nowMs: number, random: readonly [number, number]) => buildId('run', nowMs, random) as RunId;
export const lockId = (nowMs: number, random: readonly [number, number]) => buildId('lck', nowMs, random) as LockId;

/** A worker is one of a run's: when the run is known to be dead, so are its workers. */
export function workerId(run: RunId, index: number): WorkerId {
  return `${run}.w${index}` as WorkerId;
}

export function runOfWorker(worker: WorkerId): RunId {
  return worker.slice(0, worker.lastIndexOf('.')) as RunId;
}

export function chunkId(index: number): ChunkId {
  return `c${String(index).padStart(5, '0')}` as ChunkId;
}
