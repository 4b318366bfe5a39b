/** What `explain` knows: core's error codes and finding codes, in one list. */
import { codes, findingCodes, type Code, type FindingCode } from '@keyferry/core';
import { exitCodesOf } from './exit-codes.ts';
import { findingAdvice } from './views/explain/finding-advice.ts';
import type { Explanation } from './views/explain/index.ts';
import { whys } from './views/error/wording.ts';

export function allExplanations(): readonly Explanation[] {
  const errors = (Object.keys(codes) as Code[]).map(explainError);
  const findings = (Object.keys(findingCodes) as FindingCode[]).map(explainFinding);
  return [...errors, ...findings].toSorted((a, b) => (a.code < b.code ? -1 : 1));
}

function explainError(code: Code): Explanation {
  const { retry, summary, remedy } = codes[code];
  const isUsage = code === 'usage.invalid';
  return {
    code,
    kind: 'error',
    summary: isUsage ? 'the call is wrong; the error says how' : placeholders(summary),
    remedy: isUsage ? 'see:   keyferry COMMAND --help' : placeholders(remedy),
    why: whys[code] ?? null,
    retry,
    exitCodes: exitCodesOf(code),
    level: null,
    accept: false,
  };
}

function explainFinding(code: FindingCode): Explanation {
  const { level, accept, summary } = findingCodes[code];
  const { why = null, fix: remedy = null } = findingAdvice[code] ?? {};
  return { code, kind: 'finding', summary, remedy, why, retry: null, exitCodes: [], level, accept };
}

/** `{store}` stands for a fact of the case: written STORE, as in a usage line. */
const placeholders = (template: string): string =>
  template.replace(/\{(\w+)\}/g, (_, name: string) => name.toUpperCase());
