/**
 * The mirrors this machine is configured to use: the reading half of apt-sources.ts.
 *
 * KEYFERRY_DEBIAN_MIRROR puts one address in front, for machines without apt and for the day a mirror drops a release
 * that only an archive still carries. The checksum pins make it safe to ask anyone.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { debianMirrors, parseDeb822Sources, parseOneLineSources, type AptSource } from './apt-sources.ts';

export function machineMirrors(configuration = '/etc/apt', environment = process.env): readonly string[] {
  const parts = join(configuration, 'sources.list.d');
  const files = [join(configuration, 'sources.list'), ...namesIn(parts).map((name) => join(parts, name))];
  const configured = debianMirrors(files.flatMap(readSources)).flatMap(expandMirrorList);
  const first = environment['KEYFERRY_DEBIAN_MIRROR']?.replace(/\/+$/, '');
  return [...new Set(first === undefined || first === '' ? configured : [first, ...configured])];
}

function readSources(path: string): readonly AptSource[] {
  if (path.endsWith('.list')) return parseOneLineSources(textOf(path));
  if (path.endsWith('.sources')) return parseDeb822Sources(textOf(path));
  return [];
}

/** apt-transport-mirror(1): a file with one address a line, tab-separated attributes after it. Cloud images use it. */
function expandMirrorList(uri: string): readonly string[] {
  if (!uri.startsWith('mirror+file:')) return [uri];
  const lines = textOf(uri.slice('mirror+file:'.length).replace(/^\/\/+/, '/')).split('\n');
  const addresses = lines.map((line) => line.replace(/#.*$/, '').trim().split(/\s+/)[0] ?? '');
  return addresses.filter((address) => /^https?:/.test(address)).map((address) => address.replace(/\/+$/, ''));
}

function textOf(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return ''; // absent or unreadable: this file names no mirror, and having none at all is reported by the caller
  }
}

function namesIn(directory: string): readonly string[] {
  try {
    return readdirSync(directory).toSorted();
  } catch {
    return [];
  }
}
