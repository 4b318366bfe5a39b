/** Files as a source and as a target: NDJSON, and saved answers of etcd v2; see README.md for the formats. */
export { openFileStore, type FileFormat, type FileStoreOptions } from './source.ts';
export { openFileTarget } from './target.ts';
export { capabilitiesByFormat } from './capabilities.ts';
