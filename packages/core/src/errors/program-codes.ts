/** What can be wrong with a program of the user's; a part of the table in codes.ts. */
import type { MovedKeys, ProgramDetails } from './details.ts';
import { entry } from './entry.ts';

export const programCodes = {
  'program.unusable': entry<{ program: string; detail: string }>({
    retry: 'never',
    summary: 'the program {program} cannot be used: {detail}',
    remedy: 'correct its path, permissions or files (rules: program in the configuration), then:   keyferry validate',
  }),
  'program.failed': entry<ProgramDetails>({
    retry: 'never',
    summary: 'the program {program} did not do its work: {detail}; nothing that it made was used',
    remedy: 'correct it, run it by hand on a few records (docs/guides/programs.md), then run the command again',
  }),
  'program.silent': entry<ProgramDetails & { timeoutMs: number }>({
    retry: 'never',
    summary:
      'the program {program} was ended after {timeoutMs} ms in which it neither read nor answered: {detail}; ' +
      'nothing that it made was used',
    remedy:
      'see that it flushes what it writes and ends when its input ends\n' +
      'if it only needs longer, say so in the rule:   timeout: 5m',
  }),
  'program.answer-invalid': entry<ProgramDetails & { where: string }>({
    retry: 'never',
    summary:
      'the program {program} answered with something that is no record, at {where} of its output: {detail}; ' +
      'nothing that it made was used',
    remedy: 'let it write answers and nothing else to stdout, and what it has to say to stderr',
  }),
  'program.unsteady': entry<{ program: string; plan: string; migration: string } & MovedKeys>({
    retry: 'never',
    summary:
      '{program} made something else of the same records than when plan {plan} was made: {keysTotal} keys differ; ' +
      'nothing was written',
    remedy: 'take clock, chance and memory out of the program, then:   keyferry plan {migration} --out FILE',
  }),
} as const;
