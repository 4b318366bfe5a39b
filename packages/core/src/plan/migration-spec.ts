/**
 * One migration as the configuration resolves it: what a plan is made from and held against. Whoever wires it (CLI,
 * functions, simulator) fills it in; the engine asks nothing else about where it came from.
 */
import type { ThrottleLimits } from '../machines/throttle.ts';
import type { MigrationId } from '../model/ids.ts';
import type { Key } from '../model/key.ts';
import type { RecordProgram } from '../ports/record-program.ts';
import type { PrefixRule } from '../transform/prefix-rule.ts';
import type { Transform } from '../transform/transform.ts';
import type { PlanLimits } from './build-plan.ts';
import type { ConflictPolicy, DeleteGuards, KeySelection, RequireEmpty, Strategy } from './plan.ts';
import type { Prices } from './prices.ts';
import type { ReplicateSettings } from './replicate-settings.ts';

/** How hard a run may go. No part of what a plan promises: it may differ from one run of a plan to the next. */
export interface RunLimits extends ThrottleLimits {
  /** Once more records than that have become dead letters, a run stops. */
  readonly deadLettersMax: number;
  /** Functions that may work on it at once; each keeps to its share of the rate. */
  readonly functions: number;
}

/** A program, and what the rules behind it make of its answers. */
export interface ProgramStage {
  readonly program: RecordProgram;
  /** Null: the answers stay as they are. */
  readonly after: Transform | null;
}

export interface CostTerms {
  /** The state is in DynamoDB, for several machines or functions. */
  readonly sharedState: boolean;
  readonly prices: Prices;
}

/** What a migration in which applications take part asks of them. */
export interface OnlineTerms {
  /** A barrier holds with so many acknowledgements at least; 1 or more. */
  readonly instancesMin: number;
  /** How long a barrier is waited for before it is given up. */
  readonly barrierTimeoutMs: number;
  /** Longest time after which a request that an instance sent can still take effect. */
  readonly requestLifeMs: number;
  /** Applications follow a key by themselves (SPEC R113); absent: they acknowledge each mode. */
  readonly followedBy?: 'time';
}

export interface MigrationSpec {
  readonly migration: MigrationId;
  readonly strategy: Strategy;
  /** Absent: the application takes no part. */
  readonly online?: OnlineTerms;
  /** Only under that strategy; absent or null: it is another one. */
  readonly replicate?: ReplicateSettings | null;
  /** The stores' names in the configuration. */
  readonly sourceStore: string;
  readonly targetStore: string;
  readonly rule: PrefixRule;
  /** The part of the migration that is planned; already among the transforms. Null: all of it. */
  readonly selection: KeySelection | null;
  /** What the rules make of each record, up to the program if there is one; null: it stays as it is. */
  readonly transform: Transform | null;
  /** A program of the user's among the rules; null: there is none. */
  readonly program: ProgramStage | null;
  readonly onConflict: ConflictPolicy;
  /** Target keys that no source key maps to are deleted, if the rules would carry such a key at all. */
  readonly prune: boolean;
  /** Whether the rules carry a key: what they leave out is none of the migration's business. */
  readonly inScope: (targetKey: Key) => boolean;
  readonly guards: DeleteGuards;
  /** Before-images are kept of what is overwritten or deleted. */
  readonly keepBefore: boolean;
  readonly requireEmpty: RequireEmpty;
  readonly workers: number;
  readonly limits: PlanLimits;
  readonly runLimits: RunLimits;
  /** What costs are worked out from. Absent: nobody asks for them. */
  readonly costs?: CostTerms;
  readonly planMaxAgeMs: number;
  readonly isSensitive: (targetKey: Key) => boolean;
  /** SHA-256, in hexadecimal digits, of the resolved configuration and of the rules alone; secrets are references. */
  readonly configDigest: string;
  readonly rulesDigest: string;
  readonly keyferryVersion: string;
}

/** The rules as they stand in a plan, in their order. */
export function ruleNames({ transform, program }: Pick<MigrationSpec, 'transform' | 'program'>): readonly string[] {
  const behind = program === null ? [] : [program.program.name, ...(program.after?.parts ?? [])];
  return [...(transform?.parts ?? []), ...behind];
}

/** Whether the inverse of the rules leads each record back; that a program has one, nobody can tell. */
export function haveInverse({ transform, program }: Pick<MigrationSpec, 'transform' | 'program'>): boolean {
  return program === null && (transform === null || transform.inverse !== null);
}
