/**
 * Adoption of an nginx configuration: from its text to the text with keyferry's part in it, and nothing else changed.
 *
 *     location / {                                location / { include …/location.conf; default_type …;
 *         proxy_pass http://apicurio;      ──►        proxy_pass http://$keyferry_lb1_upstream;
 *     }                                           }
 *
 * Every location that passes to 2.x gets it, and the first adopted file also includes `http.conf`, where the maps and the
 * group of 3.x are. The include stands first in its location, because a `rewrite … break` before it would skip it.
 *
 * `add_header` of an inner level takes those of the outer ones away. So keyferry's headers go to the level that has some:
 * the location, the server, or else the http block.
 *
 * Refused, with the line: what would change the meaning of requests (a path behind proxy_pass), what cannot be followed (a
 * variable there), and what would be left unfrozen.
 */
import { type Directive, NotUnderstood, parseDirectives } from './directives.ts';

export interface NginxNames {
  /** Directory of keyferry's files. */
  readonly directory: string;
  /** Of the variable: letters, digits and underscores. */
  readonly upstreamVariable: string;
  /** As `proxy_pass` names 2.x. */
  readonly v2: string;
}

export interface Adopted {
  readonly text: string;
  /** Locations that were found. */
  readonly locations: number;
  /** Lines of the `upstream` block of 2.x that are not its servers; null: it is in none of the adopted files. */
  readonly upstream: readonly string[] | null;
  /** keyferry's headers are set at no inner level. */
  readonly headersAtTop: boolean;
}

export const adoptionMark = '# keyferry';

interface Change {
  readonly start: number;
  readonly end: number;
  readonly text: string;
}

interface Level {
  readonly directive: Directive;
  readonly parent: Level | null;
}

/**
 * @param first whether this file includes the maps
 * @param headersOutside whether another file sets `add_header` for the whole http block
 * @throws {NotUnderstood}
 */
export function adoptText(text: string, names: NginxNames, first: boolean, headersOutside: boolean): Adopted {
  if (text.includes(adoptionMark)) throw new NotUnderstood(1, 'the file has a part of keyferry already');
  const top = parseDirectives(text);
  const passes = [...passesTo(top, null, names)];
  const http = top.find(({ name, block }) => name === 'http' && block !== null);
  const atHttp = headersOutside || (http?.block ?? top).some(({ name }) => name === 'add_header');
  const changes: Change[] = [];
  const servers = new Set<Directive>();
  let headersAtTop = false;
  for (const { pass, location, server } of passes) {
    const has = (level: Directive): boolean => level.block?.some(({ name }) => name === 'add_header') ?? false;
    const atServer = !has(location) && has(server);
    if (atServer) servers.add(server);
    if (!has(location) && !atServer && atHttp) headersAtTop = true;
    const here = has(location) || (!atServer && !atHttp);
    changes.push(insertion(text, location, locationLines(location, names, here)));
    const { start, end } = pass.places[0] ?? pass;
    const scheme = /^https?:/.exec(pass.words[0] ?? '')?.[0] ?? 'http:';
    changes.push({ start, end, text: `${scheme}//$${names.upstreamVariable}` });
  }
  for (const server of servers) changes.push(insertion(text, server, [`include ${names.directory}/headers.conf;`]));
  if (first) {
    const lines = [`include ${names.directory}/http.conf;`];
    if (headersAtTop) lines.push(`include ${names.directory}/headers.conf;`);
    changes.push(http === undefined ? atStart(lines) : insertion(text, http, lines));
  }
  const upstream = (http?.block ?? top).find(({ name, words }) => name === 'upstream' && words[0] === names.v2);
  return {
    text: changed(text, changes),
    locations: passes.length,
    upstream: upstream === undefined ? null : linesOf(text, upstream),
    headersAtTop,
  };
}

function locationLines(location: Directive, { directory }: NginxNames, headers: boolean): readonly string[] {
  const sets = (wanted: string): boolean => location.block?.some(({ name }) => name === wanted) ?? false;
  return [
    `include ${directory}/location.conf;`,
    ...(headers ? [`include ${directory}/headers.conf;`] : []),
    // Of what nginx itself answers; what is passed on has its own.
    ...(sets('default_type') ? [] : ['default_type application/json;']),
    // A cached "not there" would outlive the phase.
    ...(sets('open_file_cache') ? [] : ['open_file_cache off;']),
  ];
}

interface Pass {
  readonly pass: Directive;
  readonly location: Directive;
  readonly server: Directive;
}

function* passesTo(block: readonly Directive[], parent: Level | null, names: NginxNames): Generator<Pass> {
  for (const directive of block) {
    if (directive.name === 'proxy_pass') {
      const pass = passAt(directive, parent, names);
      if (pass !== null) yield pass;
    }
    if (directive.block !== null) yield* passesTo(directive.block, { directive, parent }, names);
  }
}

function passAt(pass: Directive, parent: Level | null, { v2 }: NginxNames): Pass | null {
  const { line } = pass;
  const [, scheme, host, path] = /^(https?):\/\/([^/]+)(\/.*)?$/.exec(pass.words[0] ?? '') ?? [];
  if (scheme === undefined || host === undefined) {
    throw new NotUnderstood(line, `proxy_pass ${pass.words[0] ?? ''}: a plain http:// address is expected`);
  }
  if (host.includes('$')) {
    throw new NotUnderstood(line, 'proxy_pass goes to a variable: keyferry cannot tell whether that is the registry');
  }
  if (host !== v2) return null;
  const location = parent?.directive;
  if (location?.name !== 'location') {
    throw new NotUnderstood(
      line,
      `proxy_pass to ${v2} inside ${location?.name ?? 'no block'}, not directly in a location`,
    );
  }
  if (path !== undefined) {
    throw new NotUnderstood(
      line,
      `proxy_pass with the path ${path}, which changes what is asked: give it without a path`,
    );
  }
  if (location.block?.some(({ name, words }) => name !== 'rewrite' && words.some((word) => /\$[1-9]/.test(word)))) {
    throw new NotUnderstood(
      line,
      'the location uses $1 of its own pattern, which the maps would overwrite: name the capture',
    );
  }
  const names = new Set(location.block?.map(({ name }) => name));
  if (scheme === 'https' && !names.has('proxy_ssl_name')) {
    throw new NotUnderstood(line, 'proxy_pass over https without proxy_ssl_name: set it, so that 3.x is verified too');
  }
  let level = parent;
  while (level !== null && level.directive.name !== 'server') level = level.parent;
  if (level === null) throw new NotUnderstood(line, 'a location outside of any server block');
  return { pass, location, server: level.directive };
}

function linesOf(text: string, { block, line }: Directive): readonly string[] {
  return (block ?? [])
    .filter(({ name }) => name !== 'server')
    .map(({ name, start, end }) => {
      if (name === 'zone')
        throw new NotUnderstood(line, 'upstream with a zone, which cannot be had twice: take it out');
      return text.slice(start, end);
    });
}

function insertion(text: string, { inside, line, start }: Directive, lines: readonly string[]): Change {
  if (inside < 0) throw new NotUnderstood(line, 'a block is expected');
  const indent = /[ \t]*$/.exec(text.slice(0, start))?.[0] ?? '';
  const added = lines.map((each) => `\n${indent}    ${each} ${adoptionMark}`).join('');
  // What stood behind the brace on its line must not end up in our comment.
  const rest = /^[ \t]*(\n|$)/.test(text.slice(inside)) ? '' : '\n';
  return { start: inside, end: inside, text: added + rest };
}

function atStart(lines: readonly string[]): Change {
  return { start: 0, end: 0, text: lines.map((each) => `${each} ${adoptionMark}\n`).join('') };
}

function changed(text: string, changes: readonly Change[]): string {
  let result = text;
  for (const { start, end, text: added } of changes.toSorted((a, b) => b.start - a.start)) {
    result = result.slice(0, start) + added + result.slice(end);
  }
  return result;
}
