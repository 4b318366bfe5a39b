/**
 * Approval: before `rollback` writes anything, and `apply MIGRATION` where the migration's `review` says so, a person
 * types the migration's name, or the caller said --yes. Where nobody can be asked the answer is no, and the error names
 * the flag.
 */
import { KeyferryError } from '@keyferry/core';

export interface Approver {
  readonly stdinIsTty: boolean;
  readonly stderrIsTty: boolean;
  /** The CI variable of the environment. */
  readonly ci: string | undefined;
  readonly noInput: boolean;
  /** Asks on stderr and returns what was typed. */
  readonly ask: (question: string) => Promise<string>;
}

export interface ApprovalRequest {
  readonly migration: string;
  /** What the name is typed for: `apply this plan`. */
  readonly purpose: string;
  /** --yes */
  readonly given: boolean;
}

/** @throws {KeyferryError} `approval.required` unless approved */
export async function requireApproval(
  approver: Approver,
  { migration, purpose, given }: ApprovalRequest,
): Promise<void> {
  if (given) return;
  if (canAsk(approver)) {
    const typed = await approver.ask(`Type ${migration} to ${purpose}:`);
    if (typed.trim() === migration) return;
  }
  throw new KeyferryError('approval.required', { migration, flag: '--yes' });
}

export function canAsk({ stdinIsTty, stderrIsTty, ci, noInput }: Approver): boolean {
  return stdinIsTty && stderrIsTty && (ci ?? '') === '' && !noInput;
}

/** Asks on the terminal; the prompt library is loaded only now. */
export async function askOnTerminal(question: string, signal: AbortSignal): Promise<string> {
  const { input } = await import('@inquirer/prompts');
  return await input({ message: question }, { output: process.stderr, signal });
}
