/**
 * Reads the package mirrors out of apt's own configuration, so that no host is named in this repository and a site's
 * own mirror, proxy and policy apply without being told twice. Both formats of sources.list(5) are understood. Pure.
 *
 * Any Debian mirror will do whatever release the machine runs: pool/ is shared by all releases, and the packages are
 * pinned by checksum. Third-party archives are left out by name; asking them would only spread requests about.
 */

/** One line or stanza of apt's sources, reduced to what choosing a mirror needs. */
export interface AptSource {
  readonly uri: string;
  readonly suites: readonly string[];
  readonly components: readonly string[];
}

/** @param text a `sources.list` file: one source a line, `deb [options] uri suite components…` */
export function parseOneLineSources(text: string): readonly AptSource[] {
  return text.split('\n').flatMap((line) => {
    const words = line.replace(/#.*$/, '').trim();
    const match = /^deb\s+(?:\[[^\]]*\]\s+)?(\S+)\s+(\S+)(.*)$/.exec(words);
    if (match === null) return [];
    const [, uri = '', suite = '', rest = ''] = match;
    return [{ uri, suites: [suite], components: splitWords(rest) }];
  });
}

/** @param text a deb822 `*.sources` file: stanzas of `Field: value`, continued by indented lines */
export function parseDeb822Sources(text: string): readonly AptSource[] {
  return parseStanzas(text).flatMap((stanza) => {
    const words = (field: string): readonly string[] => splitWords(stanza.get(field) ?? '');
    const enabled = !['no', 'false', 'without', 'off', 'disable', '0'].includes((stanza.get('enabled') ?? '').trim());
    if (!enabled || !words('types').includes('deb')) return [];
    return words('uris').map((uri) => ({ uri, suites: words('suites'), components: words('components') }));
  });
}

/** Field names in lower case; comment lines are dropped, as deb822(5) asks, also in the middle of a field. */
export function parseStanzas(text: string): readonly ReadonlyMap<string, string>[] {
  const stanzas: Map<string, string>[] = [];
  let current: Map<string, string> | undefined;
  let field = '';
  for (const line of text.split('\n')) {
    if (line.startsWith('#')) continue;
    if (line.trim() === '') {
      current = undefined;
      continue;
    }
    if (current === undefined) stanzas.push((current = new Map<string, string>()));
    const match = /^([^\s:]+):(.*)$/.exec(line);
    if (match !== null) {
      field = (match[1] ?? '').toLowerCase();
      current.set(field, (match[2] ?? '').trim());
    } else if (/^\s/.test(line) && current.has(field)) {
      current.set(field, `${current.get(field) ?? ''}\n${line.trim()}`);
    }
  }
  return stanzas;
}

/**
 * Base addresses worth asking for a Debian pool file, each once, in the order of the configuration. `mirror+file:`
 * addresses are returned as they are: reading the list they name is the caller's part.
 */
export function debianMirrors(sources: readonly AptSource[]): readonly string[] {
  const mirrors = sources
    .filter(({ components, suites }) => components.includes('main') && !suites.every((suite) => suite.endsWith('/')))
    .map(({ uri }) => uri.replace(/\/+$/, ''))
    .filter(isDebianArchive);
  return [...new Set(mirrors)];
}

function isDebianArchive(uri: string): boolean {
  if (uri.startsWith('mirror+file:')) return true;
  // By convention the archive's directory is called "debian"; its security and backports siblings have other pools.
  return /^https?:\/\//.test(uri) && /\/debian(-archive)?$/.test(uri);
}

function splitWords(text: string): readonly string[] {
  return text.split(/\s+/).filter((word) => word !== '');
}
