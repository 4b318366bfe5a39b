/**
 * Reads the command line of main.ts into one command. Pure.
 *
 * `start` takes several servers; options after a server's name belong to that one, so a source and a target start with
 * one line: `start etcd-3.4 --v2 --port 2379 etcd-3.5 --port 2479 --detach`.
 */
import { parseServerKind, serverKinds, type ServerKind } from './definitions.ts';
import { ServerError } from './server-error.ts';
import type { StartRequest } from './starters.ts';

export type Command =
  | { readonly kind: 'fetch'; readonly servers: readonly ServerKind[] }
  | {
      readonly kind: 'start';
      readonly servers: readonly StartRequest[];
      readonly detach: boolean;
      readonly json: boolean;
    }
  /** No ids: all of them. */
  | { readonly kind: 'stop'; readonly ids: readonly string[] }
  | { readonly kind: 'list'; readonly json: boolean }
  /** `file` is the body of a recursive GET of the v2 API. */
  | { readonly kind: 'load-v2'; readonly endpoint: string; readonly file: string }
  /** `file` holds SQL; `endpoint` is that of a PostgreSQL server that was started here. */
  | { readonly kind: 'load-sql'; readonly endpoint: string; readonly file: string }
  /** A registry of 2.6; `versions` are plain ones besides. */
  | { readonly kind: 'fill-registry'; readonly endpoint: string; readonly versions: number }
  | { readonly kind: 'help' };

export const usage = `Usage: keyferry-servers <command>

  fetch [server …]         Fetch and verify servers; all of them when none is named.
  start server [options] [server [options] …] [--detach] [--json]
      --v2                 etcd: serve the v2 API beside v3 (3.3 does so anyway)
      --members 1|3        etcd, consul: size of the cluster
      --tls                serve TLS with a certificate made on the spot
      --port N             port of the first member; the others follow it
      --data-dir PATH      use and keep this directory
      --detach             return once healthy; end them later with stop
  stop [id …]              End detached servers; all of them when none is named.
  list [--json]            Show running servers.
  load-v2 endpoint file    Fill an etcd v2 store from a dump: what a recursive GET of /v2/keys answers.
  load-sql endpoint file   Run a file of SQL in a PostgreSQL server that was started here, as its superuser.
  fill-registry endpoint [--versions N]
                           Fill an empty Apicurio Registry 2.6 with every kind of entity, every hazard of an import into 3.x
                           that its API allows, and N plain versions besides.

Servers: ${serverKinds.join(', ')}`;

export function parseCommandLine(words: readonly string[]): Command {
  const [name, ...rest] = words;
  switch (name) {
    case undefined:
    case 'help':
    case '--help':
    case '-h':
      return { kind: 'help' };
    case 'fetch':
      return { kind: 'fetch', servers: rest.length === 0 ? serverKinds : rest.map(parseServerKind) };
    case 'start':
      return parseStart(rest);
    case 'stop':
      return { kind: 'stop', ids: rest };
    case 'list':
      if (rest.some((word) => word !== '--json')) throw wrong(`"list" does not take "${rest.join(' ')}"`);
      return { kind: 'list', json: rest.length > 0 };
    case 'load-v2':
    case 'load-sql': {
      const [endpoint, file] = rest;
      if (endpoint === undefined || file === undefined || rest.length > 2) {
        throw wrong(`"${name}" takes an endpoint and a file`);
      }
      return { kind: name, endpoint, file };
    }
    case 'fill-registry':
      return parseFillRegistry(rest);
    default:
      throw wrong(`There is no command "${name}"`);
  }
}

function parseFillRegistry([endpoint, option, count = '0', ...others]: readonly string[]): Command {
  const versions = Number(count);
  const isRight = option === undefined || (option === '--versions' && Number.isSafeInteger(versions) && versions > 0);
  if (endpoint === undefined || !isRight || others.length > 0) {
    throw wrong('"fill-registry" takes an endpoint, and --versions with a number above 0');
  }
  return { kind: 'fill-registry', endpoint, versions };
}

function parseStart(words: readonly string[]): Command {
  const servers: StartRequest[] = [];
  const left = [...words];
  let detach = false;
  let json = false;
  for (let word = left.shift(); word !== undefined; word = left.shift()) {
    if (word === '--detach') detach = true;
    else if (word === '--json') json = true;
    else if (word.startsWith('--')) {
      const server = servers.pop();
      if (server === undefined) throw wrong(`"${word}" stands before the server it is for`);
      servers.push({ ...server, ...serverOption(word, () => left.shift()) });
    } else {
      const fresh = { v2: false, members: 1, tls: false, port: undefined, dataDir: undefined } as const;
      servers.push({ kind: parseServerKind(word), ...fresh });
    }
  }
  if (servers.length === 0) throw wrong('"start" needs the name of a server');
  return { kind: 'start', servers, detach, json };
}

function serverOption(option: string, takeValue: () => string | undefined): Partial<StartRequest> {
  switch (option) {
    case '--v2':
      return { v2: true };
    case '--tls':
      return { tls: true };
    case '--members': {
      const members = Number(takeValue());
      if (members !== 1 && members !== 3) throw wrong('"--members" takes 1 or 3');
      return { members };
    }
    case '--port': {
      const port = Number(takeValue());
      if (!Number.isInteger(port) || port < 1 || port > 65_533) throw wrong('"--port" takes a number from 1 to 65533');
      return { port };
    }
    case '--data-dir': {
      const dataDir = takeValue();
      if (dataDir === undefined) throw wrong('"--data-dir" takes a path');
      return { dataDir };
    }
    default:
      throw wrong(`There is no option "${option}"`);
  }
}

function wrong(summary: string): ServerError {
  return new ServerError('server.bad-argument', `${summary}.`, 'Run it with --help to see what there is.');
}
