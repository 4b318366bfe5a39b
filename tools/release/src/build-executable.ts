/**
 * `npm run build:executable [FOLDER]`: builds the single executable into dist/executable, starts it, and prints its size and how
 * long a start takes beside one of an empty Node program.
 */
import { spawnSync } from 'node:child_process';
import { join, relative, resolve } from 'node:path';
import { buildExecutable } from './executable.ts';

const root = join(import.meta.dirname, '../../..');
const [folder = 'dist/executable'] = process.argv.slice(2);
const { file, bytes, bundleBytes } = await buildExecutable(root, resolve(root, folder));

const starts = 7;

/** The middle one of several. */
function startMs(program: string, args: readonly string[]): number {
  const all = Array.from({ length: starts }, () => {
    const beganAt = performance.now();
    const { status, stderr } = spawnSync(program, args, { encoding: 'utf8' });
    if (status !== 0) throw new TypeError(`${program} ${args.join(' ')} ended with ${status}: ${stderr}`);
    return performance.now() - beganAt;
  });
  return all.toSorted((a, b) => a - b)[Math.floor(starts / 2)] ?? 0;
}

const mebibytes = (size: number): string => `${(size / 1024 / 1024).toFixed(1)} MiB`;
const [helpMs, emptyMs] = [startMs(file, ['--help']), startMs(process.execPath, ['-e', '0'])];
process.stdout.write(
  [
    `${relative(root, file)}   ${mebibytes(bytes)}, of which keyferry is ${mebibytes(bundleBytes)}`,
    `  --help in ${Math.round(helpMs)} ms; an empty Node program takes ${Math.round(emptyMs)} ms`,
    '',
  ].join('\n'),
);
