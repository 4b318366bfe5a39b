/** Reads a table of PostgreSQL through keyferry's own adapter, with the engine's page size. */
import { compileKeyTemplate, openPostgresStore } from '@keyferry/adapters/postgres';
import { keyFromText, prefixRange } from '@keyferry/core';
import { benchPrefix } from '../workload/records.ts';
import { childOptions, measured } from './measured.ts';

const { endpoint, order } = childOptions();
const { hostname, port } = new URL(endpoint);
const compiled = compileKeyTemplate('{key...}');
if (!compiled.ok) throw new TypeError(compiled.why);
const store = openPostgresStore({
  name: 'source',
  side: 'source',
  host: hostname,
  port: Number(port),
  database: 'postgres',
  auth: { user: 'postgres', password: 'postgres' },
  tables: [{ from: { table: 'kv' }, key: compiled.template, value: { column: 'value' }, leaveOut: [], audit: false }],
  nowMs: () => Date.now(),
  ...(order === 'none' ? {} : { order }),
});
await store.load(); // connected
await measured(async () => {
  const range = prefixRange(keyFromText(benchPrefix));
  let keys = 0;
  if (order === 'none') {
    await store.readUnordered(range, () => (keys += 1));
    return keys;
  }
  const view = await store.openView(range);
  for await (const { records } of view.scan(range, { pageKeysMax: 1000 })) keys += records.length;
  await view.close();
  return keys;
});
process.exit(0);
