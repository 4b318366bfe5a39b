/**
 * Doctor's rounds: configuration, state, and for each migration its secrets, source and target. Only reads: what is not
 * there (a state file, a target database) is not made, and whether one may write is told as far as reading tells it.
 *
 * The source's prefix is opened as plan opens it: that is the one read that proves that plan can.
 */
import { access, constants, stat } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import {
  counted,
  membersTrouble,
  membersVerdict,
  prefixRange,
  type ReadableStore,
  type SourceStore,
  type MigrationSpec,
} from '@keyferry/core';
import type { Redactor, ResolvedConfig } from '@keyferry/adapters';
import type { Engine } from '@keyferry/engine';
import type { CommandRun } from '../command-run.ts';
import { loadAdapters, openConfig } from '../wiring.ts';
import { checksOf, ok, warn, type Check } from './check.ts';

/** @param migration one of them; null: all */
export async function examine(run: CommandRun, migration: string | null): Promise<readonly Check[]> {
  let opened: { readonly config: ResolvedConfig; readonly redactor: Redactor } | null = null;
  const config = await checksOf('configuration', async () => {
    opened = await openConfig(run);
    const { file, stores, migrations } = opened.config;
    const counts = [counted(Object.keys(stores).length, 'store'), counted(Object.keys(migrations).length, 'migration')];
    return [ok('configuration', `${file} is valid: ${counts.join(', ')}`)];
  });
  if (opened === null) return config;
  const { config: resolved, redactor } = opened as { readonly config: ResolvedConfig; readonly redactor: Redactor };
  // A name that is not there is a wrong call and no finding.
  if (migration !== null) (await loadAdapters()).planConfig(resolved, migration);
  const checks = [...config, ...(await checksOf('state', () => run.reading(examineState(resolved))))];
  for (const each of migration === null ? Object.keys(resolved.migrations) : [migration]) {
    checks.push(...(await checksOf(each, () => examineMigration(run, resolved, redactor, each))));
  }
  return checks;
}

async function examineState(config: ResolvedConfig): Promise<readonly Check[]> {
  if ('dynamodb' in config.state) {
    const { table, region } = config.state.dynamodb;
    return [ok('state', `table ${table} in ${region} can be read; ${await heldLocks(config)}`)];
  }
  const { sqlite } = config.state;
  const file = resolve(config.directory, sqlite);
  const exists = await stat(file).then(
    () => true,
    () => false,
  );
  const place = exists ? file : await nearestFolder(file);
  const writable = await access(place, constants.W_OK).then(
    () => true,
    () => false,
  );
  if (!writable) {
    const what = exists ? `${sqlite} cannot be written` : `${sqlite} cannot be made: ${place} is not writable`;
    return [
      { subject: 'state', level: 'fail', what, fix: 'change its permissions, or its path', code: 'state.unusable' },
    ];
  }
  if (!exists) return [ok('state', `${sqlite} is not there yet; the first command that needs it makes it`)];
  return [ok('state', `${sqlite} can be read and written; ${await heldLocks(config)}`)];
}

async function heldLocks(config: ResolvedConfig): Promise<string> {
  const { wireState } = await loadAdapters();
  const state = await wireState(config);
  try {
    const { entries } = await state.list('lock', 'locks', { after: null, itemsMax: 100 });
    return entries.length === 0 ? 'no locks' : `locks on ${entries.map(({ id }) => id).join(', ')}`;
  } finally {
    await state.close();
  }
}

/** Where a file that is not there would have to be made. */
async function nearestFolder(file: string): Promise<string> {
  for (let folder = dirname(file); ; folder = dirname(folder)) {
    const found = await stat(folder).catch(() => null);
    if (found !== null || dirname(folder) === folder) return folder;
  }
}

async function examineMigration(
  run: CommandRun,
  config: ResolvedConfig,
  redactor: Redactor,
  migration: string,
): Promise<readonly Check[]> {
  const { wireMigration } = await loadAdapters();
  const wired = await run.reading(wireMigration(config, migration, { redactor }));
  try {
    const { source, target, spec } = wired;
    const look = (side: string, checks: Promise<readonly Check[]>) =>
      checksOf(`${migration} ${side}`, () => run.reading(checks));
    return [
      ...(await look('source', examineSource(`${migration} source`, source, spec))),
      ...(await look('target', examineTarget(`${migration} target`, target, spec))),
    ];
  } finally {
    await wired.close();
  }
}

async function examineSource(
  subject: string,
  source: SourceStore,
  { sourceStore, rule }: MigrationSpec,
): Promise<readonly Check[]> {
  const checks = [ok(subject, await presence(sourceStore, source))];
  checks.push(...(await examineMembers(subject, source)));
  const range = prefixRange(rule.sourcePrefix);
  const view = await source.openView(range);
  try {
    let keys = 0;
    for await (const page of view.scan(range, { pageKeysMax: 1 })) {
      keys += page.records.length;
      if (keys > 0) break;
    }
    checks.push(
      keys > 0
        ? ok(subject, 'keys under its prefix can be read')
        : warn(subject, 'no key can be seen under its prefix', 'check the prefix, and what its user may read'),
    );
  } finally {
    await view.close();
  }
  return checks;
}

async function examineMembers(subject: string, source: SourceStore): Promise<readonly Check[]> {
  const [first, ...others] = (await source.readMembers()) ?? [];
  if (first === undefined || others.length === 0) return [];
  const members = [first, ...others] as const;
  const trouble = membersTrouble(membersVerdict([...members]), [...members]);
  if (trouble === null) return [ok(subject, `its ${members.length} members agree`)];
  return [warn(subject, `its members do not agree: ${trouble.detail}`, `${trouble.fix}; plan insists on it`)];
}

async function examineTarget(
  subject: string,
  target: Engine['target'],
  { targetStore, rule, migration }: MigrationSpec,
): Promise<readonly Check[]> {
  const described = await presence(targetStore, target);
  const count = await target.countRecords(prefixRange(rule.targetPrefix), 1);
  // Where keyferry keeps its own keys is read too: a user that may not read there may hardly write there.
  await target.control(migration).readEpoch();
  const holds = count === 0 ? 'its prefix is empty' : 'its prefix holds keys';
  return [ok(subject, described), ok(subject, `${holds}; keyferry's own keys can be read`)];
}

async function presence(store: string, opened: ReadableStore): Promise<string> {
  const { kind, version } = await opened.describe();
  await opened.head();
  return `${store} answers: ${kind} ${version}`;
}
