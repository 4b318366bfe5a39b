/** What the plan view is given: by `plan`, by `show`, and by `apply MIGRATION` before it asks. */
import { shellWord, type PlanDocument } from '@keyferry/core';

export interface PlanResult {
  readonly plan: PlanDocument;
  /** The file that holds it, as the user named it; null when it was not saved. */
  readonly file: string | null;
  /** made: just now. shown: read from its file. asking: about to be approved. */
  readonly occasion: 'made' | 'shown' | 'asking';
}

/** Codes of warnings that have to be named at apply, each once. */
export function codesToAccept({ findings }: PlanDocument): readonly string[] {
  return [...new Set(findings.filter(({ accept }) => accept).map(({ code }) => code))];
}

export function blockingCodes({ findings }: PlanDocument): readonly string[] {
  return [...new Set(findings.filter(({ level }) => level === 'blocking').map(({ code }) => code))];
}

/** The command that applies it, ready to be pasted. */
export function applyCommand(plan: PlanDocument, file: string): string {
  return ['keyferry apply', shellWord(file), ...codesToAccept(plan).map((code) => `--accept ${code}`)].join(' ');
}
