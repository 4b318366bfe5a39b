#!/usr/bin/env node
/**
 * Command line over this package, for people: examples, guides and manual trials need servers without writing code.
 *
 * In the foreground servers live until Ctrl-C. Detached ones are known by their record alone, which `list` and `stop`
 * read; so `stop` works from any shell and checkout of the same user.
 */
import { serverOrSkip } from './availability.ts';
import { fillRegistry } from './apicurio/fill-registry.ts';
import { parseCommandLine, usage, type Command } from './command-line.ts';
import { loadV2Keys } from './etcd/load-v2-keys.ts';
import { readV2Dump } from './etcd/v2-dump.ts';
import { loadSql } from './postgres/psql.ts';
import { endRecord, readRecords, sweepLeftovers } from './process/run-records.ts';
import { ServerError } from './server-error.ts';
import { starters, type StartedServer } from './starters.ts';

try {
  process.exitCode = await run(parseCommandLine(process.argv.slice(2)));
} catch (error) {
  if (!(error instanceof ServerError)) throw error;
  console.error(error.message);
  process.exitCode = error.code === 'server.bad-argument' ? 2 : 1;
}

async function run(command: Command): Promise<number> {
  switch (command.kind) {
    case 'help':
      console.log(usage);
      return 0;
    case 'fetch':
      return await fetchServers(command.servers);
    case 'start':
      return await startServers(command);
    case 'stop':
      return await stopServers(command.ids);
    case 'list':
      return await listServers(command.json);
    case 'load-v2': {
      const written = await loadV2Keys(command.endpoint, await readV2Dump(command.file));
      console.log(`${written} keys written to ${command.endpoint}`);
      return 0;
    }
    case 'fill-registry': {
      const made = await fillRegistry(command.endpoint, { versions: command.versions });
      console.log(`${made} versions written to ${command.endpoint}`);
      return 0;
    }
    case 'load-sql':
      await loadSql(command.endpoint, command.file);
      return 0;
  }
}

async function fetchServers(kinds: Extract<Command, { kind: 'fetch' }>['servers']): Promise<number> {
  let missing = 0;
  for (const kind of kinds) {
    const answer = await serverOrSkip(kind);
    if (answer.ok) {
      console.log(`${kind}  ${answer.version ?? '(override)'}  ${answer.programDirectory}`);
    } else {
      missing += 1;
      console.error(`${kind}  not available: ${answer.reason}.\n  Remedy: ${answer.remedy}`);
    }
  }
  return missing === 0 ? 0 : 1;
}

async function startServers({ servers, detach, json }: Extract<Command, { kind: 'start' }>): Promise<number> {
  // Listened to from before the start, and for good: with no other listener left, the clean-up of exit-cleanup.ts would
  // end this process at once, before the servers were stopped gently.
  const interrupted = new Promise<void>((resolve) => {
    if (!detach) for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => resolve());
  });
  const started: StartedServer[] = [];
  try {
    for (const request of servers) {
      const server = await starters[request.kind](request, detach);
      started.push(server);
      console.log(json ? JSON.stringify(describe(server)) : lineFor(server));
    }
  } catch (error) {
    await Promise.all(started.map((server) => server.stop()));
    throw error;
  }
  if (detach) return 0;
  if (!json) console.log('Running until Ctrl-C.');
  const keepAlive = setInterval(() => undefined, 60_000); // a pending promise alone does not keep a process
  await interrupted;
  clearInterval(keepAlive);
  await Promise.all(started.map((server) => server.stop()));
  return 0;
}

async function stopServers(ids: readonly string[]): Promise<number> {
  await sweepLeftovers();
  // Servers of a live owner are left to it, unless named: a test run must not lose its servers to somebody's clean-up.
  const wanted = readRecords().filter(({ id, owner }) => (ids.length === 0 ? owner === undefined : ids.includes(id)));
  for (const record of wanted) {
    await endRecord(record, 10_000);
    console.log(`${record.id}  stopped`);
  }
  const unknown = ids.filter((id) => !wanted.some((record) => record.id === id));
  for (const id of unknown) console.error(`${id}  is not running`);
  return unknown.length === 0 ? 0 : 1;
}

async function listServers(json: boolean): Promise<number> {
  await sweepLeftovers();
  const records = readRecords();
  if (json) console.log(JSON.stringify(records, null, 2));
  else if (records.length === 0) console.log('No servers are running.');
  else for (const record of records) console.log(lineFor(record) + (record.owner === undefined ? '' : '  (attached)'));
  return 0;
}

function lineFor(server: Pick<StartedServer, 'id' | 'endpoints'> & Partial<Pick<StartedServer, 'caFile'>>): string {
  return `${server.id}  ${server.endpoints.join(',')}${server.caFile === undefined ? '' : `  CA ${server.caFile}`}`;
}

function describe({ id, kind, endpoints, caFile }: StartedServer): object {
  return { id, kind, endpoints, ...(caFile !== undefined && { caFile }) };
}
