import { access } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { Args, Flags } from '@oclif/core';
import {
  checkFixture,
  checkOutcomes,
  KeyferryError,
  recordOfFixture,
  type Fixture,
  type FixtureDifference,
  type MigrationSpec,
  type Scratch,
  type Version,
} from '@keyferry/core';
import type { Redactor, ResolvedConfig } from '@keyferry/adapters';
import { BaseCommand } from '../base-command.ts';
import { exitCodes } from '../exit-codes.ts';
import { usageError } from '../usage-error.ts';
import { testView, type TestedCase } from '../views/test/index.ts';
import { loadAdapters, loadEngine, openConfig } from '../wiring.ts';

/** Looked for beside the configuration, in this order. */
const endings = ['fixtures.yaml', 'fixtures.json', 'fixtures.ndjson'] as const;

export default class Test extends BaseCommand {
  static override readonly summary = 'Run the rules of a migration on records of a file, and compare what comes out.';
  static override readonly description =
    'Reads no store. Cases are looked for beside the configuration, in MIGRATION.fixtures.yaml (or .json, .ndjson); ' +
    'without a migration, those of every migration that has some. Exits 7 when a case differs.';
  static override readonly examples = [
    '<%= config.bin %> test',
    '<%= config.bin %> test config-v2-to-v3 --fixtures cases.ndjson',
  ];
  static override readonly args = {
    migration: Args.string({ description: 'Name of a migration; all that have fixtures when it is left out.' }),
  };
  static override readonly flags = {
    fixtures: Flags.string({ summary: 'File of cases.', helpValue: 'FILE', env: 'KEYFERRY_FIXTURES' }),
  };

  async run(): Promise<void> {
    const { args, flags } = await this.parse(Test);
    const { migration } = args;
    await this.perform<readonly TestedCase[]>(flags, migration ?? null, async (run) => {
      if (migration === undefined && flags.fixtures !== undefined) {
        throw usageError('--fixtures needs a migration', 'name it:   keyferry test MIGRATION --fixtures FILE');
      }
      const { config, redactor } = await openConfig(run);
      const files = await filesOf(config, migration, flags.fixtures);
      const cases: TestedCase[] = [];
      for (const [name, file] of files) cases.push(...(await runCases(config, redactor, name, file)));
      const exitCode = cases.every(({ passed }) => passed) ? exitCodes.done : exitCodes.deviated;
      return { result: cases, view: testView, exitCode };
    });
  }
}

/** Migration and file of each set of cases. */
async function filesOf(
  config: ResolvedConfig,
  migration: string | undefined,
  named: string | undefined,
): Promise<readonly (readonly [migration: string, file: string])[]> {
  if (migration !== undefined) return [[migration, named ?? (await fileBeside(config, migration))]];
  const found: [string, string][] = [];
  for (const each of Object.keys(config.migrations)) {
    const file = await fileBeside(config, each);
    if (await isThere(file)) found.push([each, file]);
  }
  if (found.length > 0) return found;
  const [first = 'MIGRATION'] = Object.keys(config.migrations);
  throw new KeyferryError('fixtures.not-found', { migration: first, file: await fileBeside(config, first) });
}

/** The first that is there; the usual one when none is. */
async function fileBeside({ directory }: ResolvedConfig, migration: string): Promise<string> {
  const files = endings.map((ending) => relative('', join(directory, `${migration}.${ending}`)));
  for (const file of files) if (await isThere(file)) return file;
  return files[0] ?? '';
}

const isThere = (file: string): Promise<boolean> =>
  access(file).then(
    () => true,
    () => false, // what cannot be opened is told when it is read
  );

async function runCases(
  config: ResolvedConfig,
  redactor: Redactor,
  migration: string,
  file: string,
): Promise<readonly TestedCase[]> {
  const { readFixtures, wireRules } = await loadAdapters();
  const { spec, scratch } = await wireRules(config, migration, { redactor });
  const cases = await readFixtures(file, migration, spec.rule);
  const differencesOf = spec.program === null ? null : await runProgram(spec, scratch, cases);
  return cases.map((each, at) => {
    const differences = differencesOf?.[at] ?? checkFixture(each, spec.rule, spec.transform);
    const { name, line, column } = each;
    return { migration, name, file, line, column, passed: differences.length === 0, differences };
  });
}

/** A program is started once for all cases: it may well need more than one record to make something of. */
async function runProgram(
  spec: MigrationSpec,
  scratch: Scratch,
  cases: readonly Fixture[],
): Promise<readonly (readonly FixtureDifference[])[]> {
  const { systemClock: clock } = await loadAdapters();
  const { rulesOnRecords } = await loadEngine();
  const version = (at: number): Version => String(at + 1) as Version;
  const records = cases.map(({ given }, at) => {
    const { value, expiresAtMs } = recordOfFixture(given, spec.rule);
    return { key: given.key, value, expiresAtMs, version: version(at), created: version(at) };
  });
  const outcomes = await rulesOnRecords({ scratch, clock }, spec, records);
  return cases.map((each, at) => checkOutcomes(each, spec.rule, outcomes.get(version(at)) ?? []));
}
