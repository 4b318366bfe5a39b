/**
 * What clients of a registry will notice of a move from 2.x to 3.x, whatever the archive holds: APIs that are gone, deletes that
 * are refused, settings that nobody carried over. Each finding has its cure.
 */
import type { ApiUse } from '../ports/load-balancer.ts';
import type { Deletions, RegistrySystem } from '../ports/registry.ts';
import type { SettingsTranslation } from '../ports/registry-settings.ts';
import { finding, type Finding } from './finding.ts';

/** Path prefixes that 3.x does not serve, and where their clients go. */
const movesTo: Readonly<Record<string, string>> = {
  '/apis/ccompat/v6': '/apis/ccompat/v7, by the base URL of the client',
  '/apis/registry/v1': '/apis/registry/v2, which 2.x and 3.x both serve',
  '/apis/cncf/v0': '/apis/registry/v3: the schema registry of CloudEvents is gone',
  '/apis/ibmcompat/v1': '/apis/registry/v2: the API of IBM Event Streams is gone',
};

export const apisGone: readonly string[] = Object.keys(movesTo);

export interface ClientFacts {
  /** Of all balancers, whatever the API; null: no access log was to be read. */
  readonly used: readonly ApiUse[] | null;
  readonly deletions: Deletions | null;
  readonly settings: SettingsTranslation | null;
  readonly target: RegistrySystem;
}

export function clientFindings({ used, deletions, settings, target }: ClientFacts): readonly Finding[] {
  return [
    ...goneFindings((used ?? []).filter(({ prefix }) => apisGone.includes(prefix))),
    ...deletionFindings(deletions, used),
    ...(settings === null ? [] : settingsFindings(settings)),
    ...healthFindings(target),
  ];
}

/** Addresses that a finding names; the plan's document has them all. */
const clientsNamed = 3;

function goneFindings(gone: readonly ApiUse[]): readonly Finding[] {
  if (gone.length === 0) return [];
  const requests = gone.reduce((sum, each) => sum + each.requests, 0);
  const named = gone.map(({ prefix, method, requests: count, balancer, clients }) => {
    const from = clients.slice(0, clientsNamed).map(({ address }) => address);
    return `${method} ${prefix} (${count}, ${balancer}${from.length === 0 ? '' : `, from ${from.join(' ')}`})`;
  });
  const prefixes = [...new Set(gone.map(({ prefix }) => prefix))];
  return [
    finding('registry.api-gone', {
      count: requests,
      detail: `clients call ${named.join(', ')}, which 3.x does not serve`,
      fix: [
        ...prefixes.map((prefix) => `lead clients of ${prefix} to ${movesTo[prefix] ?? 'another API'}`),
        'or accept it by name:   --accept registry.api-gone',
      ].join('\n'),
    }),
  ];
}

/** 2.x always lets clients delete artifacts, and versions where that was allowed; 3.x nothing unless it is told. */
function deletionFindings(deletions: Deletions | null, used: readonly ApiUse[] | null): readonly Finding[] {
  if (deletions === null || (deletions.artifact && deletions.group)) return [];
  const off = (['group', 'artifact', 'version'] as const).filter((each) => !deletions[each]);
  const deletes = (used ?? [])
    .filter(({ method, prefix }) => method === 'DELETE' && !apisGone.includes(prefix))
    .reduce((sum, { requests }) => sum + requests, 0);
  const seen = used === null ? 'no access log says whether clients delete' : `clients deleted ${deletes} times`;
  const names = off.map((each) => `apicurio.rest.deletion.${each === 'version' ? 'artifact-version' : each}.enabled`);
  return [
    finding('registry.deletes-off', {
      count: Math.max(1, deletes),
      detail: `3.x refuses to delete ${off.map((each) => (each === 'artifact' ? `an ${each}` : `a ${each}`)).join(', ')}; ${seen}`,
      fix: `start 3.x with ${names.map((name) => `${name}=true`).join(' ')}, if clients delete`,
    }),
  ];
}

function settingsFindings({ into, settings }: SettingsTranslation): readonly Finding[] {
  const moved = settings.filter(({ fate }) => fate === 'renamed' || fate === 'added');
  const left = settings.filter(({ fate }) => fate === 'gone' || fate === 'unknown' || fate === 'by-hand');
  const named = (list: SettingsTranslation['settings']): string =>
    list.map(({ old, name }) => (old === null ? (name ?? '') : name === null ? old : `${old} (${name})`)).join(', ');
  return [
    ...(moved.length === 0
      ? []
      : [
          finding('registry.settings-moved', {
            count: moved.length,
            detail: `3.x would pass over them where they keep their old names: ${named(moved)}`,
            fix: `start 3.x with what was made of them:   ${into}`,
          }),
        ]),
    ...(left.length === 0
      ? []
      : [
          finding('registry.settings-left', {
            count: left.length,
            detail: named(left),
            fix: `see the lines with # in ${into}, which say why`,
          }),
        ]),
  ];
}

/** From 3.2 on. Probes of balancers and of an orchestrator ask there, too. */
function healthFindings({ version, ready }: RegistrySystem): readonly Finding[] {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  if (ready !== null || major !== 3 || minor < 2) return [];
  return [
    finding('registry.health-moved', {
      count: 1,
      detail: `${version} answers /health on its management port, 9000 by default, and no longer beside its APIs`,
      fix: 'name it as health of the store, and lead probes and checks of load balancers there',
    }),
  ];
}
