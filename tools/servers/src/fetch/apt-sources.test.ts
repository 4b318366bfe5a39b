/**
 * Goal: the mirror is found in whatever form a machine's apt sources have, and nothing but a Debian mirror is.
 * Method: files as sources.list(5) and its installers write them, with invented hosts.
 */
import { describe, expect, it } from 'vitest';
import { debianMirrors, parseDeb822Sources, parseOneLineSources, parseStanzas } from './apt-sources.ts';

const source = (uri: string, suites = ['stable'], components = ['main']) => ({ uri, suites, components });

describe('parseOneLineSources', () => {
  it.each([
    {
      name: 'reads a plain line',
      line: 'deb http://mirror.example/debian stable main contrib',
      want: ['main', 'contrib'],
    },
    {
      name: 'reads past options',
      line: 'deb [arch=amd64 signed-by=/k.gpg] http://mirror.example/debian stable main',
      want: ['main'],
    },
    { name: 'drops a trailing comment', line: 'deb http://mirror.example/debian stable main # note', want: ['main'] },
  ])('$name', ({ line, want }) =>
    expect(parseOneLineSources(line)).toEqual([source('http://mirror.example/debian', ['stable'], want)]),
  );

  it.each(['', '# deb http://mirror.example/debian stable main', 'deb-src http://mirror.example/debian stable main'])(
    'finds nothing in "%s"',
    (line) => expect(parseOneLineSources(line)).toEqual([]),
  );
});

describe('parseDeb822Sources', () => {
  it('reads a stanza with a comment in its middle, and gives one source for each address', () => {
    const text =
      'Types: deb deb-src\n# pinned\nURIs: http://a.example/debian\n http://b.example/debian\nSuites: stable\nComponents: main\n';
    expect(parseDeb822Sources(text)).toEqual([source('http://a.example/debian'), source('http://b.example/debian')]);
  });

  it.each([
    { name: 'leaves out a disabled stanza', text: 'Enabled: no\nTypes: deb\nURIs: http://a.example/debian' },
    { name: 'leaves out a stanza of sources only', text: 'Types: deb-src\nURIs: http://a.example/debian' },
  ])('$name', ({ text }) => expect(parseDeb822Sources(text)).toEqual([]));
});

describe('parseStanzas', () => {
  it('separates stanzas at any number of blank lines', () => {
    const fields = parseStanzas('A: 1\n\n \nB: 2\nC:\n x\n y\n').map((stanza) => Object.fromEntries(stanza));
    expect(fields).toEqual([{ a: '1' }, { b: '2', c: '\nx\ny' }]);
  });
});

describe('debianMirrors', () => {
  it('gives each mirror once, in order, without its trailing slash', () => {
    const sources = [
      source('http://b.example/debian/'),
      source('http://a.example/debian'),
      source('http://b.example/debian'),
    ];
    expect(debianMirrors(sources)).toEqual(['http://b.example/debian', 'http://a.example/debian']);
  });

  it('keeps a list of mirrors for the caller to read', () => {
    expect(debianMirrors([source('mirror+file:/etc/apt/mirrors/debian.list')])).toHaveLength(1);
  });

  it.each([
    { name: 'a third-party archive', other: source('https://packages.example/node') },
    { name: 'the security archive', other: source('http://mirror.example/debian-security', ['stable-security']) },
    { name: 'an archive without main', other: source('http://mirror.example/debian', ['stable'], ['contrib']) },
    { name: 'a flat repository', other: source('http://mirror.example/debian', ['./']) },
    { name: 'a local medium', other: source('cdrom:[Debian]/debian') },
  ])('leaves out $name', ({ other }) => expect(debianMirrors([other])).toEqual([]));
});
