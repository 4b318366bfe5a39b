/**
 * State on its way from one store to another: export and import of one migration, as documents.
 *
 *     header ─► items, children first ─► the migration's own item ─► end, with how many there were
 *
 * Export holds the lock, and functions, which hold none, must be paused and have given back what they had (SPEC R66), so that
 * all of it is of one moment. Import reads to the end before it writes anything, writes
 * each item only if nothing is there, and the migration's own item last: until that one is there no command sees any of
 * it, and after a kill the same import goes on over what it finds equal.
 */
import {
  canonicalJson,
  KeyferryError,
  stateDocumentFormat,
  stateFormat,
  stateHomes,
  upgradeItem,
  type MigrationId,
  type MigrationState,
  type StateDocument,
  type StateKind,
} from '@keyferry/core';
import { recordHistory } from './events.ts';
import type { Environment } from './migration.ts';
import { assertFunctionsRest } from './slices/at-rest.ts';
import { withSession, type RunOptions } from './session.ts';
import { itemsOf, partsOf } from './state-contents.ts';
import { migrationsScope, writeItem } from './state-items.ts';

const headerFormat = 'keyferry.state';
const formatVersion = `${stateFormat}.0`;

export interface StateHeader {
  readonly format: typeof headerFormat;
  readonly formatVersion: string;
  readonly keyferryVersion: string;
  readonly migration: MigrationId;
}

export interface StateEnd {
  readonly format: 'keyferry.state-end';
  readonly items: number;
}

/**
 * Calls `take` with each document, in order.
 * @returns how many items there were
 * @throws {KeyferryError} `state.unknown-migration`; `lease.held` while a run writes, `functions.at-work` while functions may.
 */
export async function exportState(
  env: Environment,
  migration: MigrationId,
  options: RunOptions & { readonly keyferryVersion: string },
  take: (document: StateHeader | StateDocument | StateEnd) => Promise<void>,
): Promise<number> {
  return withSession(env, { migration }, options, async ({ state, lock }) => {
    if (state === null) throw new KeyferryError('state.unknown-migration', { migration, known: [] });
    await assertFunctionsRest(env, state);
    const { keyferryVersion } = options;
    await take({ format: headerFormat, formatVersion, keyferryVersion, migration });
    let items = 0;
    for await (const { kind, scope, entry } of itemsOf(env, partsOf(migration, state.attempt))) {
      lock.assertHeld();
      await take(documentOf(kind, scope, entry.id, entry.item));
      items += 1;
    }
    await take(documentOf('migration', migrationsScope, migration, state));
    items += 1;
    await take({ format: 'keyferry.state-end', items });
    return items;
  });
}

function documentOf<K extends StateKind>(
  kind: K,
  scope: string,
  id: string,
  item: StateDocument<K>['item'],
): StateDocument<K> {
  return { format: stateDocumentFormat, formatVersion, kind, scope, id, item };
}

export interface ParsedState {
  readonly migration: MigrationId;
  /** The migration's own item is the last. */
  readonly documents: readonly StateDocument[];
}

/**
 * From the lines of an export to what may be imported. Older formats are brought up to date.
 * @param file its name, for errors
 * @throws {KeyferryError} `state.document-invalid`, with the line; `state.newer`
 */
export function parseState(lines: readonly string[], file: string): ParsedState {
  const invalid = (line: number, detail: string) => new KeyferryError('state.document-invalid', { file, line, detail });
  const parsed = lines.map((line, i): Record<string, unknown> => {
    try {
      const value: unknown = JSON.parse(line);
      if (typeof value === 'object' && value !== null) return value as Record<string, unknown>;
    } catch {
      // no JSON: said below, in one place with JSON that is no object
    }
    throw invalid(i + 1, 'it is no JSON object');
  });
  const [header, ...rest] = parsed;
  if (header?.['format'] !== headerFormat) throw invalid(1, `an export begins with ${headerFormat}`);
  assertKnownFormat(header, file);
  const end = rest.pop();
  if (end?.['format'] !== 'keyferry.state-end')
    throw invalid(lines.length, 'the end is missing: the file was cut short');
  if (end['items'] !== rest.length) throw invalid(lines.length, `${rest.length} items, of ${String(end['items'])}`);
  const migration = header['migration'] as MigrationId;
  const documents = rest.map((value, i): StateDocument => {
    assertKnownFormat(value, file);
    const document = value as unknown as StateDocument;
    if (document.format !== stateDocumentFormat || !Object.hasOwn(stateHomes, document.kind)) {
      throw invalid(i + 2, 'it is no state item');
    }
    if (!belongs(document, migration)) throw invalid(i + 2, `it is not of ${migration}`);
    const { kind, item } = document;
    return { ...document, item: upgradeItem(kind, item, majorOf(value)) };
  });
  const own = documents.at(-1);
  if (own?.kind !== 'migration') throw invalid(lines.length, `the item of ${migration} itself is missing`);
  return { migration, documents };
}

function assertKnownFormat(value: Readonly<Record<string, unknown>>, file: string): void {
  if (majorOf(value) <= stateFormat) return;
  throw new KeyferryError('state.newer', {
    where: file,
    found: String(value['formatVersion']),
    known: formatVersion,
  });
}

/** Documents without a version are of the first. */
function majorOf({ formatVersion: version }: Readonly<Record<string, unknown>>): number {
  return typeof version === 'string' ? Number(version.split('.')[0]) : 1;
}

function belongs({ kind, scope, id }: StateDocument, migration: MigrationId): boolean {
  switch (stateHomes[kind]) {
    case 'migrations':
      return scope === migrationsScope && id === migration;
    case 'migration':
      return scope === migration;
    case 'attempt':
      return scope.startsWith(`${migration}/`);
    case 'locks':
      return false; // a lock is its run's and does not travel
  }
}

/**
 * @returns how many items were written or found equal
 * @throws {KeyferryError} `state.not-empty`: the migration, or one of its items, is there and is another one.
 */
export async function importState(env: Environment, parsed: ParsedState, options: RunOptions): Promise<number> {
  const { migration, documents } = parsed;
  return withSession(env, { migration }, options, async (session) => {
    const own = documents.at(-1)?.item as MigrationState;
    if (session.state !== null && canonicalJson(session.state) !== canonicalJson(own)) {
      throw new KeyferryError('state.not-empty', { migration, what: `a state (${session.phase})` });
    }
    for (const { kind, scope, id, item } of documents) {
      session.lock.assertHeld();
      const change = await writeItem(env, kind, scope, id, item, 'absent');
      if (change.kind === 'lost') {
        throw new KeyferryError('state.not-empty', { migration, what: `another ${kind} ${id}` });
      }
    }
    const message = `imported ${documents.length} items`;
    const by = options.holder;
    await recordHistory(env, migration, { type: 'state.imported', message, run: session.run, by });
    return documents.length;
  });
}
