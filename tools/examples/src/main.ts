/**
 * `npm run examples [-- NAME …]`: runs every example's README, or those named, and fails if one is no longer true.
 * `npm run demo` is the first of them, on embedded parts alone.
 */
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { runReadme } from './run-readme.ts';

const root = join(import.meta.dirname, '../../..');
const named = process.argv.slice(2);
const all = (await readdir(join(root, 'examples'))).toSorted();
const chosen = named.length === 0 ? all : named;

const unknown = chosen.filter((name) => !all.includes(name));
if (unknown.length > 0) {
  process.stderr.write(`There is no example ${unknown.join(', ')}. There are:\n  ${all.join('\n  ')}\n`);
  process.exit(64);
}

const wrong: string[] = [];
for (const name of chosen) {
  process.stdout.write(`\n=== ${name}\n`);
  wrong.push(...(await runReadme(join(root, 'examples', name), { onOutput: (text) => process.stdout.write(text) })));
}
if (wrong.length > 0) process.stderr.write(`\n${wrong.join('\n')}\n`);
process.stdout.write(`\n${chosen.length} examples run, ${wrong.length} commands not as documented\n`);
process.exit(wrong.length === 0 ? 0 : 1);
