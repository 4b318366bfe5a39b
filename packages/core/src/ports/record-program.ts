/**
 * Record programs: a program of the user's that stands among the rules. Rules are asked record by record and answer at
 * once; a program is another process, which reads and answers in its own time and may hold everything back to its end.
 * So it is given pages and hands out answers whenever it has some, in any order, and the image is sorted behind it.
 *
 * What it made counts only when the run has ended well: a program that fails, stops early, hangs or answers with garbage
 * ends the run with an error, and whatever it had answered before is thrown away.
 */
import type { Key } from '../model/key.ts';
import type { Version } from '../model/record.ts';
import type { Moving } from '../transform/transform.ts';
import type { StopSignal } from './environment.ts';
import type { Scratch } from './spool.ts';

/** A record as the rules before the program made it, and where it came from. */
export interface ProgramRecord extends Moving {
  readonly kind: 'record';
  readonly sourceKey: Key;
  readonly version: Version;
  readonly created: Version | null;
}

/** A directory of the source, for programs that expect to be told of them. */
export interface ProgramDirectory {
  readonly kind: 'directory';
  readonly sourceKey: Key;
}

export type ProgramInput = ProgramRecord | ProgramDirectory;

/** The record that an answer is about. */
export type ProgramOrigin = Pick<ProgramRecord, 'sourceKey' | 'version'> & { readonly bytes: number };

export type ProgramAnswer =
  /** One or more records in place of one. */
  | { readonly kind: 'kept'; readonly of: ProgramOrigin; readonly records: readonly Moving[] }
  | { readonly kind: 'dropped'; readonly of: ProgramOrigin }
  | { readonly kind: 'failed'; readonly of: ProgramOrigin; readonly detail: string }
  /** Records of which nobody can say what they were made of. */
  | { readonly kind: 'untraced'; readonly records: readonly Moving[] };

export interface ProgramRun {
  /** For what has to be sorted before it can be told which record an answer is about. */
  readonly scratch: Scratch;
  /** The clock by which time left is told to a program. */
  readonly nowMs: number;
  /** Ends the program. */
  readonly signal: StopSignal | undefined;
}

export interface RecordProgram {
  /** As it stands in the plan. */
  readonly name: string;
  /**
   * Runs the program over all pages. Each record is answered once, except by programs whose answers do not say which
   * record they are about: those give `untraced` ones. What `pages` throws is thrown on.
   * @throws {KeyferryError} `program.unusable`, `program.failed`, `program.silent`, `program.answer-invalid`
   */
  run(pages: AsyncIterable<readonly ProgramInput[]>, run: ProgramRun): AsyncIterable<readonly ProgramAnswer[]>;
}
