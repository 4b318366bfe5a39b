/**
 * Plan files of strategy `parallel`: one JSON document with a digest of its plan, so that a file that was edited or cut short
 * is refused. There are no rows: the archive that a plan was made of stays where it is, and is named by its digest.
 */
import { createHash } from 'node:crypto';
import { open, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { canonicalJson, KeyferryError, type ParallelPlan } from '@keyferry/core';

const format = 'keyferry.parallel-plan-file';

/** Whole or not at all. @throws {KeyferryError} `file.unwritable` */
export async function writeParallelPlan(file: string, plan: ParallelPlan): Promise<void> {
  const draft = `${file}.${process.pid}.part`;
  const document = { format, formatVersion: '1.0', sha256: digestOf(plan), plan };
  try {
    await writeFile(draft, `${canonicalJson(document)}\n`, { mode: 0o600 });
    await rename(draft, file);
  } catch (cause) {
    await rm(draft, { force: true }).catch(() => undefined); // the failure that is told is the first one
    const detail = cause instanceof Error ? cause.message : String(cause);
    throw new KeyferryError('file.unwritable', { file, detail }, { cause });
  }
}

/**
 * Null: it is a plan of another strategy, or no plan, for its own reader to say.
 * @throws {KeyferryError} `plan.file-invalid` for one that was changed
 */
export async function readParallelPlan(file: string): Promise<ParallelPlan | null> {
  if (!(await isJson(file))) return null;
  const text = await readFile(file, 'utf8');
  const invalid = (why: string) => new KeyferryError('plan.file-invalid', { file, why });
  let document: { readonly format?: unknown; readonly sha256?: unknown; readonly plan?: ParallelPlan };
  try {
    document = JSON.parse(text) as typeof document;
  } catch {
    throw invalid('it is cut short');
  }
  const { plan } = document;
  if (document.format !== format || plan === undefined) throw invalid('it is JSON and no plan');
  if (document.sha256 !== digestOf(plan)) throw invalid('it was changed after it was made');
  return plan;
}

/** By its first byte: the other plans are zips, and can be large. */
async function isJson(file: string): Promise<boolean> {
  const handle = await open(file).catch(() => null); // what is not there is for the reader of the others to complain about
  if (handle === null) return false;
  try {
    const { bytesRead, buffer } = await handle.read(Buffer.alloc(1), 0, 1, 0);
    return bytesRead === 1 && buffer.toString() === '{';
  } finally {
    await handle.close();
  }
}

function digestOf(plan: ParallelPlan): string {
  return createHash('sha256').update(canonicalJson(plan)).digest('hex');
}
