/** What `rehearse --json` printed, kept in a file: how long an import and a comparison took, for the plan of the real one. */
import { readFile } from 'node:fs/promises';
import { KeyferryError, type RehearsedFigures } from '@keyferry/core';
import * as z from 'zod';

const milliseconds = z.number().min(0);
const document = z.object({
  format: z.literal('keyferry.rehearsal'),
  formatVersion: z.string().regex(/^1\./),
  migration: z.string(),
  passed: z.literal(true),
  freeze: z.object({ importMs: milliseconds, compareMs: milliseconds, versions: z.int().min(0) }),
});

/** @throws {KeyferryError} `file.unreadable`: it is not there, or of none that passed, or of another migration */
export async function readRehearsedFigures(file: string, migration: string): Promise<RehearsedFigures> {
  const unusable = (detail: string, cause?: unknown) =>
    new KeyferryError('file.unreadable', { file, detail }, { cause });
  const text = await readFile(file, 'utf8').catch((error: Error) => {
    throw unusable(error.message, error);
  });
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch (error) {
    throw unusable('it is no JSON document of keyferry rehearse --json', error);
  }
  const found = document.safeParse(parsed);
  if (!found.success)
    throw unusable(`it is not of a rehearsal that passed: ${found.error.issues[0]?.path.join('.') ?? ''}`);
  if (found.data.migration !== migration) throw unusable(`it is of the migration ${found.data.migration}`);
  return found.data.freeze;
}
