/**
 * Adoption of an HAProxy configuration: from its text to the text with keyferry's part in it, and nothing else changed.
 *
 *     frontend web                                 … use_backend %[str(phase),map_str(MAP),map_str(MAP,apicurio)] if X
 *         use_backend apicurio if X         ──►
 *         default_backend apicurio                 … and last: use_backend keyferry-lb1-v3 if the phase is of 3.x
 *     backend apicurio                             http-request return 405 for writes, unless the phase is v2-rw
 *         server a 10.0.0.1:8080            ──►    backend keyferry-lb1-v3, a copy with the servers of 3.x
 *
 * The freeze stands in the backends, so it holds for exactly the traffic of the registry, by whichever frontend it comes.
 * Each refuses writes unless the phase is the one that allows them THERE: a request that was routed in one phase and is
 * judged in the next cannot write to the side that was just left. In a `listen` section both are one, and the phase is
 * looked up once a request.
 *
 * Refused, with the line: a section that is not HTTP, a backend chosen by an expression, a default_backend among the
 * defaults.
 */
import { trafficPhases } from '@keyferry/core';
import { ambiguousPath, dryRunQuery, readMethods, readRequests } from '../read-requests.ts';
import { allowed, phaseHeader, refusalBody, refusalBodyV3, refusedHeader, retryAfter, v3Path } from '../refusal.ts';

export interface HaproxyNames {
  readonly mapFile: string;
  /** Name of the backend, or of the listen section, that has 2.x. */
  readonly v2: string;
  /** Name of the backend that is made. */
  readonly v3: string;
  readonly v3Servers: readonly string[];
  /** null: what the first server of 2.x has. */
  readonly v3Options: string | null;
}

export const adoptionMark = '# keyferry';
/** The key of the map that holds the phase; each phase is a key too, and leads to its backend. */
export const phaseKey = 'phase';
const fallback = 'v2-ro';

export class NotUnderstood extends TypeError {
  constructor(line: number, what: string) {
    super(`line ${line}: ${what}`);
  }
}

interface Section {
  readonly keyword: string;
  readonly name: string;
  /** Index of its first line, and of the first line of the next one. */
  readonly from: number;
  readonly to: number;
}

const keywords = new Set(
  (
    'global defaults frontend backend listen userlist peers resolvers mailers cache program ring http-errors ' +
    'fcgi-app log-forward crt-store traces'
  ).split(' '),
);
/** Of a listen section, what a backend has no use for. */
const frontOnly = new Set(['bind', 'maxconn', 'monitor-uri', 'monitor', 'capture', 'use_backend', 'default_backend']);
const serverWords = new Set(['server', 'server-template']);

/** @throws {NotUnderstood} */
export function adoptText(text: string, names: HaproxyNames): string {
  if (text.includes(adoptionMark)) throw new NotUnderstood(1, 'the file has a part of keyferry already');
  const lines = text.split('\n');
  const sections = sectionsOf(lines);
  const home = sections.find(
    ({ keyword, name }) => (keyword === 'backend' || keyword === 'listen') && name === names.v2,
  );
  if (home === undefined) throw new NotUnderstood(1, `there is no backend or listen section called ${names.v2}`);
  assertHttp(lines, sections, home);
  /** Text to stand behind a line, by its index; and lines that are replaced. */
  const behind = new Map<number, string[]>();
  const add = (index: number, added: readonly string[]): void => {
    behind.set(index, [...(behind.get(index) ?? []), ...added.map((line) => `    ${line} ${adoptionMark}`)]);
  };
  const replaced = new Map<number, string>();
  for (const section of sections) reroute(lines, section, home, names, add, replaced);
  add(home.from, freezeLines(names, home.keyword === 'listen' ? 'both' : 'v2'));
  const last = lastLine(lines, home);
  const three = [`backend ${names.v3} ${adoptionMark}`, ...threeLines(lines, home, names)];
  behind.set(last, [...(behind.get(last) ?? []), '', ...three]);
  return lines.flatMap((line, index) => [replaced.get(index) ?? line, ...(behind.get(index) ?? [])]).join('\n');
}

/** The address of the map and the phases that it leads from: what the map's file begins with. */
export function mapText(phase: string, names: HaproxyNames, digest: string): string {
  const ways = trafficPhases.map((each) => `${each} ${each.startsWith('v3') ? names.v3 : names.v2}\n`);
  const head = `# Written by keyferry; changes here are not kept. See docs/guides/load-balancers.md.\n# adopted ${digest}\n`;
  return `${head}${phaseKey} ${phase}\n${ways.join('')}`;
}

function sectionsOf(lines: readonly string[]): readonly Section[] {
  const starts = lines.flatMap((line, from) => {
    const [keyword = '', name = ''] = wordsOf(line);
    return keywords.has(keyword) && !/^\s/.test(line) ? [{ keyword, name, from }] : [];
  });
  return starts.map((start, index) => ({ ...start, to: starts[index + 1]?.from ?? lines.length }));
}

function assertHttp(lines: readonly string[], sections: readonly Section[], home: Section): void {
  const defaults = sections.findLast(({ keyword, from }) => keyword === 'defaults' && from < home.from);
  const modeOf = (section: Section | undefined): string | undefined => {
    if (section === undefined) return undefined;
    const line = lines.slice(section.from, section.to).findLast((each) => wordsOf(each)[0] === 'mode');
    return line === undefined ? undefined : wordsOf(line)[1];
  };
  const mode = modeOf(home) ?? modeOf(defaults) ?? 'tcp';
  if (mode !== 'http')
    throw new NotUnderstood(home.from + 1, `${home.keyword} ${home.name} has mode ${mode}, not http`);
}

function reroute(
  lines: readonly string[],
  section: Section,
  home: Section,
  names: HaproxyNames,
  add: (index: number, added: readonly string[]) => void,
  replaced: Map<number, string>,
): void {
  const phase = `str(${phaseKey}),map_str(${names.mapFile},${fallback})`;
  let falls = false;
  for (let index = section.from; index < section.to; index += 1) {
    const line = lines[index] ?? '';
    const [keyword, target = ''] = wordsOf(line);
    if (keyword === 'use_backend' && target.includes('%[')) {
      throw new NotUnderstood(
        index + 1,
        'a backend chosen by an expression: keyferry cannot tell whether it is the registry',
      );
    }
    if (keyword === 'default_backend' && target === names.v2) {
      if (section.keyword === 'defaults') {
        throw new NotUnderstood(index + 1, 'default_backend among the defaults: move it into the frontends');
      }
      falls = true;
    }
    if (keyword === 'use_backend' && target === names.v2) {
      const way = `%[${phase},map_str(${names.mapFile},${names.v2})]`;
      const written = line.replace(/^(\s*use_backend\s+)\S+/, (_, before: string) => before + way);
      replaced.set(index, `${written} ${adoptionMark}`);
    }
  }
  const last = lastLine(lines, section);
  if (section === home && home.keyword === 'listen') {
    // The phase that this very request was judged by.
    add(last, [`use_backend ${names.v3} if { var(txn.keyferry_phase) -m beg v3 }`]);
  } else if (falls) {
    add(last, [`use_backend ${names.v3} if { ${phase} -m beg v3 }`]);
  }
}

function freezeLines({ mapFile }: HaproxyNames, side: 'v2' | 'v3' | 'both'): readonly string[] {
  const write = 'txn.keyferry_write';
  const reads = `{ method ${readMethods.join(' ')} }`;
  const condition = `{ var(${write}) -m bool }`;
  const phase = '{ var(txn.keyferry_phase) -m';
  const refuses = side === 'both' ? `${condition} ${phase} end -ro }` : `${condition} !${phase} str ${side}-rw }`;
  const answer = (body: string, more: string): string =>
    `http-request return status 405 content-type application/json string '${body}' hdr Allow '${allowed}' ` +
    `hdr Retry-After ${retryAfter} hdr ${refusedHeader} write if ${refuses}${more}`;
  return [
    `http-request set-var(txn.keyferry_phase) str(${phaseKey}),map_str(${mapFile},${fallback})`,
    `http-request set-var(${write}) bool(true)`,
    ...readRequests.map(({ method, path, dryRun }) => {
      const query = dryRun ? ` { query -m reg -- '${dryRunQuery}' }` : '';
      return `http-request set-var(${write}) bool(false) if { method ${method} } { path_reg -- '^${path}$' }${query}`;
    }),
    `http-request set-var(${write}) bool(true) if { path_reg -- '${ambiguousPath}' }`,
    `http-request set-var(${write}) bool(false) if ${reads}`,
    answer(refusalBodyV3, ` { path_reg -- '${v3Path}' }`),
    answer(refusalBody, ''),
    `http-after-response set-header ${phaseHeader} %[var(txn.keyferry_phase)]`,
  ];
}

function threeLines(lines: readonly string[], home: Section, names: HaproxyNames): readonly string[] {
  const own = lines.slice(home.from + 1, lastLine(lines, home) + 1);
  const kept = own.filter((line) => {
    const [keyword = ''] = wordsOf(line);
    return keyword !== '' && !serverWords.has(keyword) && !(home.keyword === 'listen' && frontOnly.has(keyword));
  });
  const first = own.map(wordsOf).find(([keyword]) => keyword === 'server');
  // A server's cookie and id are its own, and 2.x has them.
  const inherited = (first ?? [])
    .slice(3)
    .join(' ')
    .replaceAll(/\b(?:cookie|id|track) \S+\s?/g, '');
  const options = names.v3Options ?? inherited;
  const servers = names.v3Servers.map(
    (address, index) =>
      `    server keyferry${index + 1} ${address}${options === '' ? '' : ` ${options}`} ${adoptionMark}`,
  );
  const freeze = freezeLines(names, 'v3').map((line) => `    ${line} ${adoptionMark}`);
  const mode = kept.some((line) => wordsOf(line)[0] === 'mode') ? [] : [`    mode http ${adoptionMark}`];
  return [...mode, ...freeze, ...kept.map((line) => `${line} ${adoptionMark}`), ...servers];
}

/** The last one that says something: what comes behind belongs to the next section. */
function lastLine(lines: readonly string[], section: Section): number {
  let last = section.to - 1;
  while (last > section.from && wordsOf(lines[last] ?? '').length === 0) last -= 1;
  return last;
}

function wordsOf(line: string): readonly string[] {
  const text = line
    .replace(/^\s*#.*$/, '')
    .replace(/\s#.*$/, '')
    .trim();
  return text === '' ? [] : text.split(/\s+/);
}

/** For a machine that has no configuration for the registry yet: what adoption then takes over. */
export function generatedConfig(listen: string, v2: string, servers: readonly string[], socket: string | null): string {
  return `global
    stats socket ${socket ?? '/run/haproxy/admin.sock'} mode 600 level admin expose-fd listeners

defaults
    mode http
    timeout connect 5s
    timeout client 60s
    timeout server 300s
    timeout http-keep-alive 60s
    option redispatch

frontend ${v2}-clients
    bind ${listen}
    default_backend ${v2}

backend ${v2}
${servers.map((server, index) => `    server s${index + 1} ${server} check\n`).join('')}`;
}
