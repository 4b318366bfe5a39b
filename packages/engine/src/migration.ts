/**
 * What the engine works with: one migration as the configuration resolves it, and the ports it runs on.
 * Whoever wires them (CLI, functions, simulator) decides which stores they are; nothing here asks.
 */
import {
  KeyferryError,
  type Clock,
  type ConflictPolicy,
  type Host,
  type Key,
  type MigrationId,
  type PlanLimits,
  type PrefixRule,
  type Random,
  type RequireEmpty,
  type SourceStore,
  type StateStore,
  type StopSignal,
  type TargetStore,
} from '@keyferry/core';

export interface MigrationSpec {
  readonly migration: MigrationId;
  readonly strategy: 'offline';
  /** The stores' names in the configuration. */
  readonly sourceStore: string;
  readonly targetStore: string;
  readonly rule: PrefixRule;
  readonly onConflict: ConflictPolicy;
  readonly requireEmpty: RequireEmpty;
  readonly workers: number;
  readonly limits: PlanLimits;
  readonly planMaxAgeMs: number;
  readonly isSensitive: (targetKey: Key) => boolean;
  /** SHA-256 of the resolved configuration and of the rules alone; secrets are in it as references only. */
  readonly configDigest: string;
  readonly rulesDigest: string;
  readonly keyferryVersion: string;
}

/** @throws {KeyferryError} `run.interrupted` once `signal` has aborted. Nothing is under way where this is called. */
export function assertNotStopped(migration: MigrationId, signal: StopSignal | undefined): void {
  if (signal?.aborted !== true) return;
  throw new KeyferryError('run.interrupted', { migration, signal: String(signal.reason) });
}

export interface Environment {
  readonly state: StateStore;
  readonly clock: Clock;
  readonly random: Random;
  readonly host: Host;
}

export interface Engine extends Environment {
  readonly source: SourceStore;
  readonly target: TargetStore;
}

/** Records of one page, through every scan. */
export const pageKeysMax = 1000;
