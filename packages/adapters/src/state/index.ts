/** Where the progress of migrations lives: state stores. */
export { openSqliteState, type SqliteStateOptions } from './sqlite.ts';
