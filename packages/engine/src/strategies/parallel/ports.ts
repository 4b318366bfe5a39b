/** What strategy `parallel` runs on: two registries, what stands before them, and a directory for archives. */
import type {
  LoadBalancer,
  NewRegistry,
  OldRegistry,
  RegistryArchives,
  RegistryFront,
  RegistrySettings,
  StopSignal,
} from '@keyferry/core';
import type { Environment } from '../../migration.ts';

export interface ParallelPorts {
  readonly source: OldRegistry;
  readonly target: NewRegistry;
  /** One or more. */
  readonly balancers: readonly LoadBalancer[];
  readonly archives: RegistryArchives;
  readonly front: RegistryFront;
  /** null: nobody said what 2.x is started with. */
  readonly settings: RegistrySettings | null;
  readonly workspace: Workspace;
  readonly runCommand: (run: readonly string[], signal: StopSignal) => Promise<CommandOutcome>;
}

export interface ParallelEngine extends Environment {
  readonly parallel: ParallelPorts;
}

/** A directory of the migration on this machine. Nothing in it is trusted without its digest, and all of it can be made anew. */
export interface Workspace {
  /** Absolute. Its directory is there. */
  path(name: string): string;
  /** SHA-256 in hexadecimal digits; null: no such file. */
  sha256(name: string): Promise<string | null>;
  /** Whole or not at all. */
  writeJson(name: string, value: unknown): Promise<void>;
  /** null: no such file, or none that can be read. */
  readJson(name: string): Promise<unknown>;
  remove(name: string): Promise<void>;
}

/** EVIDENCE (core/src/ports/registry.ts) */
export interface CommandOutcome {
  readonly run: readonly string[];
  /** null: ended by a signal, or never started. */
  readonly exitCode: number | null;
  /** The end of what it wrote to stdout and stderr. */
  readonly output: string;
  readonly tookMs: number;
}
