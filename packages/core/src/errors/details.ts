/** Facts that several errors carry. */
import type { KeyJson } from '../model/key.ts';

/** One complaint about a configuration file; line and column count from 1. */
export interface ConfigIssue {
  readonly path: string;
  readonly message: string;
  readonly line: number | null;
  readonly column: number | null;
  readonly suggestion: string | null;
}

/** A key that moved since the plan was made, and how. For a range, its first key; `what` then names the range. */
export interface StaleKey {
  readonly key: KeyJson;
  readonly what: string;
}

export interface StoreDetails {
  /** The store's name in the configuration. */
  readonly store: string;
  readonly detail: string;
}

export interface BalancerDetails {
  /** The load balancer's name in the configuration. */
  readonly balancer: string;
  readonly detail: string;
}

export interface StateDetails {
  readonly where: string;
  readonly detail: string;
}

export interface MovedKeys {
  /** The first few. */
  readonly keys: readonly StaleKey[];
  readonly keysTotal: number;
}

/** About a program of the user's that stands among the rules. */
export interface ProgramDetails {
  /** Its path as the configuration has it. */
  readonly program: string;
  readonly detail: string;
  /** The last of what it wrote to stderr, secrets taken out; null: nothing. */
  readonly stderr: string | null;
}
