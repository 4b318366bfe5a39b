/**
 * A throw-away registry: one that somebody started, by its URL, or a distribution of Apicurio Registry on this machine, started
 * on 127.0.0.1 with a database in memory.
 */
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { KeyferryError, type RegistrySystem, type StopSignal } from '@keyferry/core';
import { openNewRegistry, openOldRegistry } from '../apicurio/index.ts';
import { freePorts, ThrowAwayProcess } from './throw-away-process.ts';

export interface ThrowAwayRegistry {
  readonly endpoint: string;
  /** Where `/health/ready` is, when that is another port and known; null: not to be asked. */
  readonly health: string | null;
  stop(): Promise<void>;
}

export interface RegistryPlace {
  /** An http URL, or the path of a distribution: its directory, or the jar to run. */
  readonly where: string;
  readonly release: 2 | 3;
  /** Program that runs jars. */
  readonly java: string;
  /** Its own, and there. */
  readonly directory: string;
}

/** Java on a busy machine. */
const startMaxMs = 300_000;

/** @throws {KeyferryError} `usage.invalid`, `rehearsal.server-failed` */
export async function openThrowAwayRegistry(place: RegistryPlace, signal: StopSignal): Promise<ThrowAwayRegistry> {
  if (/^https?:/.test(place.where))
    return { endpoint: endpointOf(place.where), health: null, stop: () => Promise.resolve() };
  const jar = await jarOf(place.where);
  const [port = 0, managementPort = 0] = await freePorts(2);
  const server = `Apicurio Registry of ${place.where}`;
  const properties = Object.entries(propertiesOf(place, port, managementPort)).map(
    ([name, value]) => `-D${name}=${value}`,
  );
  const running = new ThrowAwayProcess(server, place.directory, [place.java, ...properties, '-jar', jar]);
  const endpoint = `http://127.0.0.1:${port}`;
  try {
    const health = await untilServing(
      running,
      place,
      { endpoint, management: `http://127.0.0.1:${managementPort}` },
      signal,
    );
    return { endpoint, health, stop: () => running.stop() };
  } catch (error) {
    await running.stop();
    throw error;
  }
}

/** @throws {KeyferryError} `usage.invalid` */
function endpointOf(where: string): string {
  const url = URL.canParse(where) ? new URL(where) : null;
  if (url?.protocol === 'http:' && url.pathname === '/' && url.username === '') return url.origin;
  throw new KeyferryError('usage.invalid', {
    what: `${where} cannot be a throw-away registry: an http URL without a path and a user is expected`,
    fix: 'start one without TLS and without authentication on this machine',
  });
}

/** In the order of releases: 3.3, 3.1.5 to 3.2, and those before with 2.6. */
const jars = [/^quarkus-run\.jar$/, /^apicurio-registry-.*-runner\.jar$/];

/** @throws {KeyferryError} `usage.invalid` */
async function jarOf(where: string): Promise<string> {
  const found = await stat(where).catch(() => null); // what is not there is told below
  if (found?.isFile() === true) return where;
  for (const directory of [where, join(where, 'quarkus-app')]) {
    const names = await readdir(directory).catch(() => []);
    const name = names.find((each) => jars.some((jar) => jar.test(each)));
    if (name !== undefined) return join(directory, name);
  }
  throw new KeyferryError('usage.invalid', {
    what: `${where} is no distribution of Apicurio Registry: neither quarkus-run.jar nor apicurio-registry-…-runner.jar is in it`,
    fix: 'unpack apicurio-registry-app-VERSION-all, and give its directory, or the URL of one that runs',
  });
}

/** Everything that decides where data goes is said, so that nothing is left to a default. */
function propertiesOf(
  { release, directory }: RegistryPlace,
  port: number,
  managementPort: number,
): Readonly<Record<string, string>> {
  const common = {
    'quarkus.http.host': '127.0.0.1',
    'quarkus.http.port': String(port),
    'java.io.tmpdir': directory,
    // Either takes the whole archive in one request.
    'quarkus.http.limits.max-body-size': '10G',
  };
  const database = `jdbc:h2:mem:keyferry_${port}`;
  if (release === 2) {
    // A version can be deleted on the way back only where that is allowed.
    return {
      ...common,
      'quarkus.datasource.jdbc.url': database,
      'registry.rest.artifact.deletion.enabled': 'true',
      // Roles are taken and kept, and with authentication off they let nobody in or out.
      'registry.auth.role-source': 'application',
      'registry.auth.role-based-authorization': 'true',
    };
  }
  return {
    ...common,
    'quarkus.management.host': '127.0.0.1',
    'quarkus.management.port': String(managementPort),
    'apicurio.storage.kind': 'sql',
    'apicurio.storage.sql.kind': 'h2',
    'apicurio.datasource.url': database,
    'apicurio.auth.role-source': 'application',
    'apicurio.auth.role-based-authorization': 'true',
    'apicurio.import.zip.max-entry-count': '10000000',
    'apicurio.import.zip.max-entry-size': '1073741824',
    'apicurio.import.zip.max-total-size': '107374182400',
  };
}

/** @returns where its health is */
async function untilServing(
  running: ThrowAwayProcess,
  { where, release }: RegistryPlace,
  { endpoint, management }: { readonly endpoint: string; readonly management: string },
  signal: StopSignal,
): Promise<string> {
  const open = release === 2 ? openOldRegistry : openNewRegistry;
  const ask = async (health?: string): Promise<RegistrySystem | null> => {
    const registry = open({ name: where, endpoints: [endpoint], health, requestTimeoutMs: 5000 });
    try {
      return await registry.system(signal);
    } catch (error) {
      if (!(error instanceof KeyferryError)) throw error;
      return null; // it does not listen yet
    } finally {
      await registry.close();
    }
  };
  let health = endpoint;
  const isReady = async (): Promise<boolean> => {
    const found = await ask();
    if (found === null) return false;
    health = hasManagementPort(found.version) ? management : endpoint;
    return (await ask(health))?.ready === true;
  };
  await running.untilReady(isReady, startMaxMs, signal);
  return health;
}

/** From 3.2 on health is there, and no longer on the port of the APIs. */
function hasManagementPort(version: string): boolean {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  return major > 3 || (major === 3 && minor >= 2);
}
