/** What the error view is given: the failure, and as much of the call as it takes to name commands whole. */
import type { KeyferryError } from '@keyferry/core';

export interface ErrorReport {
  readonly error: KeyferryError;
  readonly exitCode: number;
  /** `apply`, `locks break`. */
  readonly command: string;
  /** The command's argument as typed; null when it had none. */
  readonly argument: string | null;
  /** Codes that the call accepted by name: the same call again has to name them again. */
  readonly accept: readonly string[];
  readonly flags?: readonly string[];
  /** Text of the configuration or fixture file, where the error points into it. */
  readonly configText: string | null;
  /** Shown with --verbose and for bugs; null else. */
  readonly stack: string | null;
  readonly logFile: string | null;
  /** The configuration file, where the next command has to name it; null else. */
  readonly configFlag: string | null;
}
