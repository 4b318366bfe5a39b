/** What no text file of ours may hold, whatever its format: one machine's paths, registry hosts, unfinished notes. */
import type { Finding, SourceFile } from './workspace-files.ts';

interface TextRule {
  readonly pattern: RegExp;
  readonly problem: string;
  readonly cure: string;
  readonly appliesTo?: (path: string) => boolean;
}

// Names are put together from parts, so that this file does not find itself.
const home = ['work', 'root', 'home/[\\w.-]+', 'Users/[\\w.-]+', 'private/(?:tmp|var)'].join('|');
const hosts = [
  ['registry', 'npmjs.org'],
  ['registry', 'yarnpkg.com'],
  ['npm.pkg', 'github.com'],
  ['repo1', 'maven.org'],
  ['repo.maven', 'apache.org'],
  ['proxy', 'golang.org'],
  ['files', 'pythonhosted.org'],
  ['registry-1', 'docker.io'],
  ['index', 'crates.io'],
].map((parts) => parts.join('.').replaceAll('.', '\\.'));
const notes = ['TO|DO', 'FIX|ME', 'X|XX'].map((halves) => halves.replace('|', '')).join('|');

const rules: readonly TextRule[] = [
  {
    // Not after a word, a dot or a dash: `./work/x` and `example.org/root/` are no absolute paths.
    pattern: new RegExp(`(?<![\\w.\\-/}*>)])/(?:${home})/|\\b[A-Z]:\\\\Users\\\\`),
    problem: 'names a path of one machine',
    cure: 'use a path from the root of the checkout, or one computed from import.meta.url',
  },
  {
    pattern: new RegExp(hosts.join('|')),
    problem: 'names the host of a package registry',
    cure: 'leave the host to the configuration of each machine (npm config, GOPROXY, …)',
  },
  {
    pattern: /"resolved": "https?:/,
    problem: 'records where a package was downloaded',
    cure: 'run npm install again with the .npmrc of this checkout (omit-lockfile-registry-resolved=true)',
    appliesTo: (path) => path.endsWith('package-lock.json'),
  },
  {
    pattern: /^\s*(?:@[\w-]+:)?registry\s*=/,
    problem: 'chooses a registry',
    cure: 'take the line out; the registry is a setting of each machine',
    appliesTo: (path) => path.endsWith('.npmrc'),
  },
  {
    pattern: new RegExp(`\\b(?:${notes})\\b`),
    problem: 'holds an unfinished note',
    cure: 'do it now, or write it down as an issue and say in the comment why the code is as it is',
    appliesTo: (path) => !path.endsWith('package-lock.json'),
  },
];

export function findTextHabits(files: readonly SourceFile[]): Finding[] {
  return files.flatMap((file) => {
    const applying = rules.filter(({ appliesTo }) => appliesTo?.(file.path) ?? true);
    return file.text
      .split('\n')
      .flatMap((line, index) =>
        applying
          .filter(({ pattern }) => pattern.test(line))
          .map(({ problem, cure }) => ({ path: file.path, line: index + 1, problem, cure })),
      );
  });
}
