/**
 * `npm run gen` writes what is derived from the code: the reference pages, the schemas, and the table that loads them.
 * `npm run gen -- --check` writes nothing and fails where a file is not what the code says; `npm run check` runs that.
 *
 * Everything is made anew in memory first, in the form that the formatter gives it, so that both ways compare the same
 * bytes. A file that nothing makes any more is removed, and is an error for the check.
 */
import { extname, join } from 'node:path';
import { parseArgs } from 'node:util';
import { format, resolveConfig } from 'prettier';
import { generatedFiles, generatedFolders, pagesByHand } from './generated-files.ts';
import { settle } from './settle.ts';

const root = join(import.meta.dirname, '../../..');
const {
  values: { check },
} = parseArgs({ options: { check: { type: 'boolean', default: false } } });

const wanted = new Map<string, string>();
for (const [path, text] of generatedFiles(root)) {
  const filepath = join(root, path);
  // Plain text has no form but its own.
  const isPlain = extname(path) === '';
  wanted.set(path, isPlain ? text : await format(text, { ...(await resolveConfig(filepath)), filepath }));
}
const stale = await settle(root, { wanted, folders: generatedFolders, byHand: pagesByHand, check });

if (check && stale.length > 0) {
  process.stderr.write(`Not what the code says any more:\n${stale.map((path) => `  ${path}\n`).join('')}`);
  process.stderr.write('Make them anew, look at the difference, and commit it:   npm run gen\n');
  process.exitCode = 1;
} else {
  process.stdout.write(`${wanted.size} generated files${check ? '' : `, ${stale.length} changed`}\n`);
}
