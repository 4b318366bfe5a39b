/** Files as a source: NDJSON, and saved answers of etcd v2; see README.md for the formats. */
export { openFileStore, type FileFormat, type FileStoreOptions } from './source.ts';
export { capabilitiesByFormat } from './capabilities.ts';
