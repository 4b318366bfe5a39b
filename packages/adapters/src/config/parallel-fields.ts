/** The sections of strategy `parallel`: registries, load balancers, and the migration between them. */
import { parallelPhases } from '@keyferry/core';
import * as z from 'zod';
import { auth, tls } from './network-fields.ts';
import { choice, duration, endpoint, expects, flag, secret, text } from './scalars.ts';

const words = z.array(text, { error: expects('a program and its arguments') }).min(1, 'a program is expected');

const registry = {
  endpoints: z
    .array(endpoint, { error: expects('a list of URLs') })
    .min(1, 'at least one URL is expected')
    .describe('URLs of its instances, reached directly and not through a load balancer'),
  tls: tls.optional().describe('for https endpoints'),
  auth: auth.optional().describe('HTTP basic authentication'),
  oidc: z
    .strictObject({
      tokenUrl: text.describe('of Keycloak https://HOST/realms/REALM/protocol/openid-connect/token'),
      clientId: text.describe('the client; it needs the role that may export and import'),
      clientSecret: secret.describe('a reference to its secret'),
      scope: text.optional(),
    })
    .optional()
    .describe('OAuth2 client credentials'),
  health: endpoint
    .optional()
    .describe('where /health/ready is, when that is another port: from 3.2 on it is, 9000 by default'),
  requestTimeout: duration.optional().describe('how long one request may take'),
  transferTimeout: duration.optional().describe('how long an export or an import may take; 30m by default'),
};

export const registryTwo = z
  .strictObject({ kind: z.literal('apicurio-2'), ...registry })
  .describe('a schema registry, Apicurio Registry 2.6');
export const registryThree = z
  .strictObject({ kind: z.literal('apicurio-3'), ...registry })
  .describe('a schema registry, Apicurio Registry 3');

const addresses = z.array(text, { error: expects('a list of host:port') }).min(1, 'at least one host:port is expected');

export const balancer = z.strictObject({
  kind: choice(['nginx', 'haproxy']).describe('what it is'),
  url: endpoint.describe('as clients reach the registry through it'),
  listeners: z.array(endpoint).default([]).describe('further URLs through the same process'),
  direct: z.array(endpoint).default([]).describe('URLs of 2.x beside it: told of where they take writes in a freeze'),
  ca: text.optional().describe('path of a PEM file with the authorities of its URLs'),
  access: words
    .optional()
    .describe('a command that runs one shell script on its machine, such as [ssh, lb1]; this machine by default'),
  program: text.optional().describe('checks its configuration; nginx or haproxy by default'),
  reload: text.describe('shell command that reloads it gracefully, such as systemctl reload nginx'),
  configFile: text.describe('path of its main configuration file; relative ones are beside this file'),
  files: z.array(text).default([]).describe('nginx: files with the locations of the registry; configFile by default'),
  directory: text.describe('path of a directory for files of keyferry, which its configuration can read'),
  pidFile: text.describe('path of the file with the id of its main process'),
  socket: text.optional().describe('HAProxy: its stats socket of level admin, a path or host:port'),
  v2: text.describe('2.x, as proxy_pass or backend of its configuration names it'),
  v3: z.strictObject({
    servers: addresses.describe('host:port of each instance of 3.x'),
    options: text.optional().describe('behind each server, as it spells them; by default what the first of 2.x has'),
  }),
  generate: z
    .strictObject({
      listen: text.describe('address and port, as it spells them'),
      servers: addresses.describe('host:port of each instance of 2.x'),
    })
    .optional()
    .describe('make a configuration where there is none'),
  accessLogs: z.array(text).default([]).describe('paths of its access logs, the oldest first'),
  timeout: duration.prefault('10s').describe('for the answer of a check, a reload, a socket'),
});

const side = z.strictObject({ store: z.string({ error: expects('the name of a store') }) });

export const parallelMigration = z.strictObject({
  strategy: z.literal('parallel'),
  source: side.describe('a store of kind apicurio-2'),
  target: side.describe('a store of kind apicurio-3, which is empty'),
  balancers: z
    .array(z.string({ error: expects('the name of a load balancer') }), { error: expects('a list of load balancers') })
    .min(1, 'at least one load balancer is expected'),
  confirm: z
    .array(choice(parallelPhases), { error: expects('a list of phases') })
    .default([])
    .describe('phases before which apply waits for a person: apply NAME --confirm-phase PHASE'),
  freeze: z
    .strictObject({
      max: duration.prefault('30m').describe('longest that writes may be refused; past it, it is undone'),
      drain: duration.prefault('30s').describe('longest wait for requests that are under way'),
      bulk: flag
        .default(false)
        .describe('import before the freeze what is there already, and in it only what came since'),
    })
    .prefault({}),
  repair: flag.default(false).describe('cure in the archive what can be cured before it is imported; see inspect'),
  losses: z
    .array(text, { error: expects('a list of findings') })
    .default([])
    .describe('findings that block otherwise, taken knowingly: registry.content-refused and the like'),
  smoke: words.optional().describe('a program that has to end with 0 after the switch, relative to this file'),
  soak: z
    .strictObject({
      length: duration.prefault('24h').describe('how long 3.x has to serve under observation before 2.x may go'),
      every: duration.prefault('1m').describe('between two samples of apply --follow'),
      gapMax: duration.prefault('15m').describe('longest time between two samples that counts as observed'),
      errorShareMax: z
        .number({ error: expects('a share of the answers, 0 to 1,') })
        .min(0)
        .max(1)
        .default(0.01)
        .describe('share of answers 5xx in a sample'),
      p99: duration.optional().describe('99 of 100 requests are to be answered within this'),
    })
    .prefault({}),
  settings: text
    .optional()
    .describe(
      'variables or properties that 2.x is started with, relative to this file: plan makes those of 3.x of them',
    ),
  workspace: text.optional().describe('directory for archives, relative to this file; .keyferry/NAME by default'),
  plan: z
    .strictObject({ maxAge: duration.prefault('24h').describe('how long a plan may be applied after it was made') })
    .prefault({}),
});

export type CheckedRegistry = z.output<typeof registryTwo> | z.output<typeof registryThree>;
export type CheckedBalancer = z.output<typeof balancer>;
export type CheckedParallel = z.output<typeof parallelMigration>;
