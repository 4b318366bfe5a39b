/**
 * A program that leads applications from one store to the other: told what is announced, by its arguments.
 *
 *     PROGRAM ARGUMENTS hold|open source|target EPOCH
 *
 * `hold`: let nobody write; reads go on where they were. `open`: reads and writes go to that store. It is told again after a
 * failure and after a restart, so the same call must be harmless; an older EPOCH than one that it has seen is none of its
 * business any more. Its exit code says whether it did it; what it writes to stderr is shown with a failure.
 */
import { KeyferryError, type PrimaryRecord } from '@keyferry/core';

const timeoutMs = 60_000;
const shownMax = 500;

/** @throws {KeyferryError} `switch.refused` unless it ended with 0, within a minute */
export async function tellProgram(
  run: readonly string[],
  { writes, primary, epoch }: Pick<PrimaryRecord, 'writes' | 'primary' | 'epoch'>,
): Promise<void> {
  const [program = '', ...rest] = run;
  const words = [writes === 'held' ? 'hold' : 'open', primary, String(epoch)];
  const where = run.join(' ');
  const { spawn } = await import('node:child_process');
  await new Promise<void>((resolve, reject) => {
    const refuse = (detail: string): void => reject(new KeyferryError('switch.refused', { where, detail }));
    const child = spawn(program, [...rest, ...words], { stdio: ['ignore', 'ignore', 'pipe'], timeout: timeoutMs });
    let said = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      said = (said + text).slice(-shownMax);
    });
    child.on('error', (error) => refuse(error.message));
    child.on('close', (code, signal) => {
      if (code === 0) resolve();
      else refuse(`${signal === null ? `exit code ${code}` : `ended by ${signal}`}: ${said.trim()}`);
    });
  });
}
