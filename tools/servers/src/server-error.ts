/**
 * The one error this package throws: a code to branch on, what was wrong, and what to do about it.
 *
 * It is separate from the product's KeyferryError because nothing here ships: these are failures of a test bench, and
 * their codes must not appear in the operators' error reference.
 */
export type ServerErrorCode =
  /** The server program could not be obtained on this machine. */
  | 'server.unavailable'
  /** The program was there, but did not become healthy. */
  | 'server.start-failed'
  /** A port was taken between choosing it and listening on it; only seen when the caller fixed the port. */
  | 'server.port-taken'
  /** A client program or an administrative request answered with a failure. */
  | 'server.command-failed'
  /** The caller asked for something that does not exist. */
  | 'server.bad-argument';

export class ServerError extends Error {
  override readonly name = 'ServerError';
  readonly code: ServerErrorCode;
  /** What the reader can do, in one or two sentences. */
  readonly remedy: string;

  constructor(code: ServerErrorCode, summary: string, remedy: string, cause?: unknown) {
    super(`${summary}\n  Remedy: ${remedy}`, cause === undefined ? undefined : { cause });
    this.code = code;
    this.remedy = remedy;
  }
}
