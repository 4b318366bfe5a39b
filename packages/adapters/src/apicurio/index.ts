/** Apicurio Registry: what moving from 2.x to 3.x by an export archive would lose, and its cure; see README.md. */
export { inspectArchive, type ArchiveReport, type EntityCount } from './inspect-archive.ts';
export { repairArchive } from './repair/repair-archive.ts';
export type { Repair } from './repair/plan-repairs.ts';
export { registryArchives } from './archive/archives.ts';
export type { RegistryConnection } from './api/registry-api.ts';
export { fillBesides, fillOldRegistry } from './v2/fill.ts';
export { openOldRegistry } from './v2/old-registry.ts';
export { openNewRegistry } from './v3/new-registry.ts';
export { registrySettings } from './settings/registry-settings.ts';
export { registryFront } from './front/registry-front.ts';
