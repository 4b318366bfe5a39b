/** A store of kind postgres: where it is, and what becomes of the rows of which tables. */
import * as z from 'zod';
import { columnNamesIn, compileKeyTemplate } from '../postgres/key-template.ts';
import { isTableName } from '../postgres/table-name.ts';
import { auth, tls } from './network-fields.ts';
import type { TableConfig } from './resolved-config.ts';
import { duration, expects, flag, integer, text } from './scalars.ts';

const tableWords = 'the name of a table or view, such as jobs or jm.jobs,';
const column = z.string({ error: expects('the name of a column') }).min(1, 'the name of a column is expected');

const value = z.union(
  [
    z.literal('row'),
    z.strictObject({ column: column.describe('the column whose content is the value, and nothing else') }),
  ],
  { error: expects('row, or { column: NAME },') },
);

const tableEntry = z
  .strictObject({
    table: z
      .string({ error: expects(tableWords) })
      .refine(isTableName, `${tableWords} is expected`)
      .optional()
      .describe('a table or view; names that SQL would need in quotes stand in quotes'),
    query: text.optional().describe('a SELECT whose rows are carried, in place of a table; only in a source'),
    key: text.describe(
      'how columns make a key: jm/{service}/{name}. In a segment, / becomes %2F and % becomes %25; ' +
        '{name...} at the end is the rest of the key as it is',
    ),
    value: value
      .default('row')
      .describe('row: a JSON object of all columns that are not in the key; { column: NAME }: what is in one of them'),
    leaveOut: z
      .array(column, { error: expects('a list of columns') })
      .default([])
      .describe('columns that are not carried; one that is carried nowhere and not named here is an error'),
    audit: flag
      .default(false)
      .describe('a log of what others do: carried, but its rows do not show that the source was ever used'),
  })
  .transform(({ table, query, key, value: content, leaveOut, audit }, context): TableConfig => {
    if ((table === undefined) === (query === undefined)) context.addIssue('one of table, query is expected');
    const compiled = compileKeyTemplate(key);
    if (!compiled.ok)
      context.addIssue({ code: 'custom', path: ['key'], message: `a key of columns is expected: ${compiled.why}` });
    const inKey = columnNamesIn(key);
    if (content !== 'row' && inKey.includes(content.column)) {
      context.addIssue({
        code: 'custom',
        path: ['value', 'column'],
        message: `${content.column} is in the key already`,
      });
    }
    for (const [at, name] of leaveOut.entries()) {
      const used = inKey.includes(name)
        ? 'in the key'
        : content !== 'row' && content.column === name
          ? 'the value'
          : null;
      if (used !== null)
        context.addIssue({
          code: 'custom',
          path: ['leaveOut', at],
          message: `${name} is ${used}, and would be left out`,
        });
    }
    return { from: query === undefined ? { table: table ?? '' } : { query }, key, value: content, leaveOut, audit };
  });

export const postgresStore = z.strictObject({
  kind: z.literal('postgres'),
  host: text.describe('name or address of the server; not of a pooler that changes servers between transactions'),
  port: integer('a port', 1, 65_535).default(5432),
  database: text.describe('name of the database'),
  auth,
  tls: tls
    .optional()
    .describe('encrypt, and trust only a server that proves its name; without it everything goes in the clear'),
  tables: z
    .array(tableEntry, { error: expects('a list of tables') })
    .min(1, 'at least one table is expected')
    .describe('whose rows are records'),
  changes: z
    .enum(['log', 'triggers'], { error: expects('log or triggers') })
    .default('log')
    .describe(
      "how its changes are followed: log, the server's own (wal_level logical); triggers, which keyferry makes on the tables and drops at the end",
    ),
  order: z
    .enum(['auto', 'server', 'local'], { error: expects('auto, server or local') })
    .default('server')
    .describe(
      'who sorts its rows by their keys: the server; local, keyferry, which spares the database; auto, keyferry where no index has that order',
    ),
  schema: text.optional().describe("schema of keyferry's own tables in a target; keyferry by default"),
  statementTimeout: duration.optional().describe('how long one statement may take; 30s by default'),
  readTimeout: duration.optional().describe('how long the one that reads all rows may take; 1h by default'),
});
