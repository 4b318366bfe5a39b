/** The configuration: read, checked, resolved, digested; and what keeps its secrets out of every output. */
export type * from './resolved-config.ts';
export { loadConfig } from './load-config.ts';
export { configJsonSchema } from './schema.ts';
export { configDigest, planConfig, rulesDigest } from './digest.ts';
export { assertReadsTarget } from './reads.ts';
export { selectPart } from './selection.ts';
export { adapterKinds, type AdapterKind } from './adapter-kinds.ts';
export { Redactor, redacted } from './redactor.ts';
export { builtInSensitive, sensitiveMatcher } from './sensitive.ts';
export { compileGlob } from './glob.ts';
export { nearest } from './nearest.ts';
