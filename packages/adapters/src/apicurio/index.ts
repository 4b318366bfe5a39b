/** Apicurio Registry: what moving from 2.x to 3.x by an export archive would lose; see README.md. */
export { inspectArchive, type ArchiveReport, type EntityCount } from './inspect-archive.ts';
