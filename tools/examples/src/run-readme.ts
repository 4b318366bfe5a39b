/** Runs the commands of one README, one after another, in a copy of the examples, as a reader would. */
import { spawn } from 'node:child_process';
import { cp, mkdtemp, readFile, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { firstMismatch, parseConsoleBlocks, type DocumentedCommand } from './console-blocks.ts';

export interface ReadmeRun {
  /** Each command as it is run, and what it printed. */
  readonly onOutput: (text: string) => void;
}

/** @returns what was wrong, one text for each command that did not do what the README says; empty: all is true. */
export async function runReadme(folder: string, { onOutput }: ReadmeRun): Promise<readonly string[]> {
  const commands = parseConsoleBlocks(await readFile(join(folder, 'README.md'), 'utf8'));
  if (commands.length === 0) return [`${join(folder, 'README.md')} shows no command`];
  const copy = await mkdtemp(join(tmpdir(), 'keyferry-example-'));
  try {
    // All of them: one may use another's input.
    await cp(dirname(folder), copy, { recursive: true });
    // For an example that is an application itself: what it imports is the workspace's own.
    await symlink(join(dirname(folder), '../node_modules'), join(copy, 'node_modules'));
    const wrong: string[] = [];
    for (const command of commands) {
      onOutput(`$ ${command.command}\n`);
      const problem = await runOne(command, join(copy, basename(folder)), onOutput);
      if (problem !== null) wrong.push(`${join(folder, 'README.md')}:${command.line}: ${problem}`);
    }
    return wrong;
  } finally {
    await rm(copy, { recursive: true, force: true });
  }
}

async function runOne(command: DocumentedCommand, folder: string, onOutput: (text: string) => void) {
  const { output, exitCode } = await runShell(command.command, folder, onOutput);
  if (exitCode !== command.exitCode) {
    return `${command.command}\n  ended with ${exitCode}, the README says ${command.exitCode}`;
  }
  const missing = firstMismatch(command.expected, output);
  return missing === null ? null : `${command.command}\n  did not print this line, or not in its place:\n  ${missing}`;
}

/** PATH is npm's, so that `keyferry` and `node` are the workspace's own. */
function runShell(
  command: string,
  folder: string,
  onOutput: (text: string) => void,
): Promise<{ readonly output: string; readonly exitCode: number | null }> {
  return new Promise((resolve, reject) => {
    const { INIT_CWD: _npmFolder, ...environment } = process.env;
    const child = spawn(command, {
      cwd: folder,
      shell: true,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...environment, NO_COLOR: '1' },
    });
    let output = '';
    const take = (chunk: Buffer): void => {
      output += chunk.toString();
      onOutput(chunk.toString());
    };
    child.stdout.on('data', take);
    child.stderr.on('data', take);
    child.on('error', reject);
    child.on('close', (exitCode) => {
      resolve({ output, exitCode });
    });
  });
}
