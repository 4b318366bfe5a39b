/**
 * One migration as the configuration resolves it: what a plan is made from and held against. Whoever wires it (CLI,
 * functions, simulator) fills it in; the engine asks nothing else about where it came from.
 */
import type { MigrationId } from '../model/ids.ts';
import type { Key } from '../model/key.ts';
import type { PrefixRule } from '../transform/prefix-rule.ts';
import type { Transform } from '../transform/transform.ts';
import type { PlanLimits } from './build-plan.ts';
import type { ConflictPolicy, RequireEmpty } from './plan.ts';

export interface MigrationSpec {
  readonly migration: MigrationId;
  readonly strategy: 'offline';
  /** The stores' names in the configuration. */
  readonly sourceStore: string;
  readonly targetStore: string;
  readonly rule: PrefixRule;
  /** What the rules make of each record; null: it stays as it is. */
  readonly transform: Transform | null;
  readonly onConflict: ConflictPolicy;
  readonly requireEmpty: RequireEmpty;
  readonly workers: number;
  readonly limits: PlanLimits;
  readonly planMaxAgeMs: number;
  readonly isSensitive: (targetKey: Key) => boolean;
  /** SHA-256, in hexadecimal digits, of the resolved configuration and of the rules alone; secrets are references. */
  readonly configDigest: string;
  readonly rulesDigest: string;
  readonly keyferryVersion: string;
}
