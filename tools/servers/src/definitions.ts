/**
 * The table of servers this package can obtain: which programs, from which pinned packages, replaced by which variable.
 *
 * A new server is one file with its definition and its start function, one line here, and one line in starters.ts.
 * Nothing in this file starts anything, so that asking whether a server is available loads no more than needed.
 */
import { apicurioDefinitions, type ApicurioKind } from './apicurio/releases.ts';
import { consulDefinitions, type ConsulKind } from './consul/releases.ts';
import { dynamoDbDefinitions, type DynamoDbKind } from './dynamodb/release.ts';
import { etcdDefinitions, type EtcdKind } from './etcd/releases.ts';
import { loadBalancerDefinitions, type LoadBalancerKind } from './load-balancer/releases.ts';
import { postgresDefinitions, type PostgresKind } from './postgres/release.ts';
import type { ServerDefinition } from './server-definition.ts';
import { ServerError } from './server-error.ts';

export type ServerKind = EtcdKind | ConsulKind | DynamoDbKind | PostgresKind | ApicurioKind | LoadBalancerKind;

export const definitions: Readonly<Record<ServerKind, ServerDefinition>> = {
  ...etcdDefinitions,
  ...consulDefinitions,
  ...dynamoDbDefinitions,
  ...postgresDefinitions,
  ...apicurioDefinitions,
  ...loadBalancerDefinitions,
};

export const serverKinds: readonly ServerKind[] = Object.keys(definitions) as ServerKind[];

/** @throws {ServerError} `server.bad-argument`: no server of that name is known here. */
export function parseServerKind(text: string): ServerKind {
  const kind = serverKinds.find((known) => known === text);
  if (kind !== undefined) return kind;
  throw new ServerError('server.bad-argument', `There is no server named "${text}".`, `Use ${serverKinds.join(', ')}.`);
}
