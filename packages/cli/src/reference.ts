/**
 * What the reference pages are made from (tools/gen, `npm run gen`): commands, codes and meanings as the program itself
 * holds them. Exported as `keyferry/reference`; no part of it is meant for other programs.
 */
export { default as commands } from './command-table.ts';
export { exitCodeMeanings, exitCodes } from './exit-codes.ts';
export { allExplanations } from './explanations.ts';
export { outputFlags } from './flags/output.ts';
export type { Explanation } from './views/explain/index.ts';
