/** Relative links in Markdown must lead to a file or folder of the workspace. Code and web addresses are passed over. */
import { posix } from 'node:path';
import type { Finding, SourceFile } from './workspace-files.ts';

const inline = /!?\[(?:[^\]\\]|\\.)*\]\(\s*<?([^)\s>]+)>?[^)]*\)/g;
const reference = /^\s{0,3}\[[^\]]+\]:\s*<?(\S+?)>?(?:\s|$)/g;

/** @param paths every file that may be linked to, from the root */
export function findBrokenLinks(files: readonly SourceFile[], paths: readonly string[]): Finding[] {
  const targets = new Set(['.']);
  for (const path of paths) {
    for (let at = path; at !== '.' && !targets.has(at); at = posix.dirname(at)) targets.add(at);
  }
  return files
    .filter(({ path }) => path.endsWith('.md'))
    .flatMap((file) =>
      linksOf(file.text)
        .filter(({ link }) => !targets.has(resolve(file.path, link)))
        .map(({ link, line }) => ({
          path: file.path,
          line,
          problem: `links to '${link}', which is not there`,
          cure: 'correct the path (it starts at the folder of this file), or add the file',
        })),
    );
}

function linksOf(text: string): { link: string; line: number }[] {
  let fence: string | undefined;
  return text.split('\n').flatMap((raw, index) => {
    const mark = /^\s*(```+|~~~+)/.exec(raw)?.[1];
    if (mark !== undefined) {
      if (fence === undefined) fence = mark;
      else if (mark.startsWith(fence)) fence = undefined;
      return [];
    }
    if (fence !== undefined) return [];
    const prose = raw.replaceAll(/`[^`]*`/g, '');
    return [...prose.matchAll(inline), ...prose.matchAll(reference)]
      .map((match) => match[1] ?? '')
      .filter((link) => !link.startsWith('#') && !/^[a-z][a-z0-9+.-]*:|^\/\//i.test(link))
      .map((link) => ({ link, line: index + 1 }));
  });
}

function resolve(from: string, link: string): string {
  const path = decodeURIComponent(link.replace(/[#?].*$/, ''));
  const joined = path.startsWith('/') ? path.slice(1) : posix.join(posix.dirname(from), path);
  return posix.normalize(joined).replace(/\/$/, '') || '.';
}
