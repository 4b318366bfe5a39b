/**
 * What keyferry's own files for nginx say.
 *
 *     phase.v2-ro            exists: that is the phase. Looked at in each request, so no reload is in a switch.
 *     location.conf          in each adopted location: which phase, and may this request write
 *     headers.conf           the phase and the marks of a refusal, in each answer
 *     http.conf              what is a write, where each phase goes, the servers of 3.x
 *
 * A phase is put in force by making its file and then removing the one before; while both are there, and while nobody can
 * tell because a rename hit between two looks, the more careful one wins: 2.x before 3.x, refusing before writing.
 */
import { type TrafficPhase, trafficPhases } from '@keyferry/core';
import { ambiguousPath, dryRunQuery, readMethods, readRequests, type ReadRequest } from '../read-requests.ts';
import { allowed, phaseHeader, refusalBody, refusalBodyV3, refusedHeader, retryAfter, v3Path } from '../refusal.ts';

/** Later ones win. */
const byCare: readonly TrafficPhase[] = ['v2-rw', 'v3-rw', 'v3-ro', 'v2-ro'];

export interface SnippetFacts {
  /** Letters, digits and underscores. */
  readonly name: string;
  readonly directory: string;
  /** Group or address that 2.x has. */
  readonly v2: string;
  /** Servers of 2.x where `v2` is no group: a group is made of them. */
  readonly v2Servers: readonly string[] | null;
  readonly v3Servers: readonly string[];
  readonly v3Options: string;
  /** Lines of the group of 2.x that are not its servers. */
  readonly groupLines: readonly string[];
  /** Path to SHA-256 of the adopted files, for whoever looks later. */
  readonly adopted: ReadonlyMap<string, string>;
}

export const upstreamVariable = (name: string): string => `keyferry_${name}_upstream`;
export const phaseFile = (directory: string, phase: TrafficPhase): string => `${directory}/phase.${phase}`;

/** Without captures: those of a map would take the place of the location's own. */
const uncaptured = (pattern: string): string => pattern.replaceAll(/\((?!\?)/g, '(?:');

const head = '# Written by keyferry; changes here are not kept. See docs/guides/load-balancers.md.\n';

/** What `http.conf` remembers of the files that include it. */
export function adoptedIn(written: string): ReadonlyMap<string, string> {
  const lines = written.matchAll(/^# adopted ([0-9a-f]{64}) (.+)$/gm);
  return new Map([...lines].map(([, digest = '', path = '']) => [path, digest]));
}

export function locationConf({ name, directory }: SnippetFacts): string {
  const phase = `$keyferry_${name}_phase`;
  const looks = byCare.map((each) => `if (-f ${phaseFile(directory, each)}) { set ${phase} ${each}; }\n`).join('');
  return (
    `${head}set ${phase} "";\n${looks}` +
    // Twice: a phase that moved between two looks is there by the second round.
    `${looks}if (${phase} = "") { set ${phase} v2-ro; }\n` +
    `if ($keyferry_${name}_refused) { return 405 $keyferry_${name}_body; }\n`
  );
}

export function headersConf({ name }: SnippetFacts): string {
  const header = (field: string, value: string): string => `add_header ${field} $keyferry_${name}_${value} always;\n`;
  return (
    head +
    header(phaseHeader, 'phase') +
    header(refusedHeader, 'mark') +
    header('Allow', 'allow') +
    header('Retry-After', 'retry')
  );
}

export function httpConf(facts: SnippetFacts): string {
  const { name, v2, v2Servers, v3Servers, v3Options, groupLines, adopted } = facts;
  const phase = `$keyferry_${name}_phase`;
  const when = (result: string, value: string): string =>
    `map $keyferry_${name}_refused $keyferry_${name}_${result} {\n    default "";\n    1 ${value};\n}\n`;
  const three = `keyferry-${name}-v3`;
  const two = v2Servers === null ? v2 : `keyferry-${name}-v2`;
  return [
    head,
    ...[...adopted].map(([path, digest]) => `# adopted ${digest} ${path}\n`),
    `map "$request_method $request_uri" $keyferry_${name}_write {\n    default 1;\n`,
    `    "~^(?:${readMethods.join('|')}) " 0;\n`,
    `    "~^[A-Z]+ [^?]*${uncaptured(`(${ambiguousPath.replaceAll('|$', '|[?]|$')})`)}" 1;\n`,
    ...readRequests.map((each) => `    "${requestPattern(each)}" 0;\n`),
    '}\n',
    `map "${phase} $keyferry_${name}_write" $keyferry_${name}_refused {\n    default 0;\n`,
    ...trafficPhases.filter((each) => each.endsWith('-ro')).map((each) => `    "${each} 1" 1;\n`),
    '}\n',
    when('mark', 'write'),
    when('allow', `"${allowed}"`),
    when('retry', retryAfter),
    `map $request_uri $keyferry_${name}_body {\n    default '${refusalBody}';\n`,
    `    "~${uncaptured(v3Path.replace('(/|$)', '(/|[?]|$)'))}" '${refusalBodyV3}';\n}\n`,
    `map ${phase} $${upstreamVariable(name)} {\n    default "${two}";\n    "~^v3-" "${three}";\n}\n`,
    ...(v2Servers === null ? [] : [group(two, [], v2Servers, '')]),
    group(three, groupLines, v3Servers, v3Options),
  ].join('');
}

/** Against "METHOD target". */
function requestPattern({ method, path, dryRun }: ReadRequest): string {
  // A segment ends at the mark of the query too, which a path by itself does not have.
  const raw = path.replaceAll('[^/]+', '[^/?]+');
  return uncaptured(dryRun ? `~^${method} ${raw}[?]${dryRunQuery.slice(1)}` : `~^${method} ${raw}([?]|$)`);
}

function group(name: string, lines: readonly string[], servers: readonly string[], options: string): string {
  const all = [...lines, ...servers.map((server) => `server ${server}${options === '' ? '' : ` ${options}`};`)];
  return `upstream ${name} {\n${all.map((line) => `    ${line}\n`).join('')}}\n`;
}

/** For a machine that has no configuration for the registry yet: what adoption then takes over. */
export function generatedSite(listen: string, v2: string, servers: readonly string[]): string {
  return `${group(v2, [], servers, '')}
server {
    listen ${listen};
    client_max_body_size 64m;
    location / {
        proxy_pass http://${v2};
        proxy_http_version 1.1;
        proxy_set_header Connection "";
        proxy_set_header Host $http_host;
        proxy_read_timeout 300s;
    }
}
`;
}
