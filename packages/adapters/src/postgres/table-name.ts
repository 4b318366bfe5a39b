/** Names of tables as a configuration has them. */
const identifier = '(?:"(?:[^"]|"")+"|[A-Za-z_][A-Za-z0-9_$]*)';
const tableName = new RegExp(`^${identifier}(?:\\.${identifier})?$`);

/** `jobs`, `jm.jobs`, `"Job Manager"."Jobs"`: as SQL would take it. */
export function isTableName(text: string): boolean {
  return tableName.test(text);
}
