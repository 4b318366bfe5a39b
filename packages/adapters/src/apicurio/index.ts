/** Apicurio Registry: what moving from 2.x to 3.x by an export archive would lose, and its cure; see README.md. */
export { inspectArchive, type ArchiveReport, type EntityCount } from './inspect-archive.ts';
export { repairArchive } from './repair/repair-archive.ts';
export type { Repair } from './repair/plan-repairs.ts';
